/** The machine and the code that a result is of. */
import { execFile } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { Environment } from './result.js'

const run = promisify(execFile)

/** As it is now: to be read before a benchmark starts. */
export async function readEnvironment(): Promise<Environment> {
  const [load = 0] = loadavg()
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    versions: { 'Node.js': process.versions.node, OpenSSL: process.versions.openssl },
    commit: await commit(),
    date: new Date().toISOString(),
    load: Math.round(load * 100) / 100,
  }
}

/** Says `+` after the commit where something but results was changed since. */
async function commit(): Promise<string> {
  const git = async (...words: string[]): Promise<string> => (await run('git', words, { cwd: __dirname })).stdout.trim()
  try {
    const changed = await git('status', '--porcelain', '--untracked-files=no', '--', ...sources)
    return `${await git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : '+'}`
  } catch (error) {
    // A copy of the sources without their history.
    return `unknown (${error instanceof Error ? error.message.split('\n')[0] : error})`
  }
}

/** All of the checkout but what benchmarks themselves write. */
const sources = [':/', ':(top,exclude)bench/results', ':(top,exclude)bench/RESULTS.md']
