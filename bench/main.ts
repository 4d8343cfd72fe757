/**
 * `npm run bench [-- NAME ...]`: runs benchmarks, writes bench/results/NAME.json and renders bench/RESULTS.md from all results that are there.
 *
 *     --list      says which there are
 *     --quick     small sizes and few rounds, into build/bench-quick, to try them
 *     --render    only renders again
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchmarks } from './all.js'
import type { Benchmark } from './frame/benchmark.js'
import { readEnvironment } from './frame/environment.js'
import { failedWord } from './frame/rounds.js'
import { renderAll, save } from './frame/store.js'

const root = join(__dirname, '../..')

async function main(): Promise<void> {
  const boolean = { type: 'boolean', default: false } as const
  const options = { list: boolean, quick: boolean, render: boolean }
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const unknown = positionals.filter((name) => benchmarks.every((benchmark) => benchmark.name !== name))
  if (unknown.length > 0)
    throw new Error(`There is no benchmark named ${unknown.join(', ')}; --list says which there are`)
  if (values.list) {
    for (const { name, title } of benchmarks) console.log(`${name.padEnd(16)} ${title}`)
    return
  }
  const directory = values.quick ? join(root, 'build/bench-quick') : join(root, 'bench')
  const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  for (const benchmark of values.render ? [] : chosen) await runOne(benchmark, directory, values.quick)
  console.log(await renderAll(directory))
}

/** One that fails is told of, and the others go on. */
async function runOne(benchmark: Benchmark, directory: string, quick: boolean): Promise<void> {
  const { name, title } = benchmark
  const lacking = await benchmark.lacks?.()
  console.log(`\n${name}: ${title}${lacking === undefined ? '' : `: left out, ${lacking}`}`)
  if (lacking !== undefined) return
  const environment = await readEnvironment()
  const began = performance.now()
  try {
    const { sections, versions } = await benchmark.run({ quick, say: (line) => console.log(`  ${line}`) })
    const seconds = Math.round((performance.now() - began) / 1000)
    Object.assign(environment.versions, versions)
    await save(directory, { name, title, quick, seconds, environment, sections })
    console.log(`  ${seconds} s`)
    if (sections.some(({ rows }) => rows.some((row) => row.missing?.startsWith(failedWord)))) process.exitCode = 1
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}

// With an orderly exit, at which everything that was started is ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
void main()
