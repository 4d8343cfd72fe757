/** Results on disk: bench/results/NAME.json, and what is rendered of them. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { render } from './markdown.js'
import { type Result, resultSchema } from './result.js'

export async function save(directory: string, result: Result): Promise<void> {
  await mkdir(join(directory, 'results'), { recursive: true })
  await writeFile(join(directory, 'results', `${result.name}.json`), `${JSON.stringify(result, null, 2)}\n`)
}

/** Renders everything that is there, and removes plots of what is not. */
export async function renderAll(directory: string): Promise<string> {
  const folder = join(directory, 'results')
  const names = await readdir(folder)
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.json')).map((name) => readFile(join(folder, name), 'utf8')),
  )
  const files = render(texts.map((text) => resultSchema.parse(JSON.parse(text))))
  const stale = names.filter((name) => name.endsWith('.svg') && !files.has(`results/${name}`))
  await Promise.all(stale.map((name) => rm(join(folder, name))))
  await Promise.all([...files].map(([path, contents]) => writeFile(join(directory, path), contents)))
  return join(directory, 'RESULTS.md')
}
