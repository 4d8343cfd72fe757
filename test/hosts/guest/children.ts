/**
 * Runs inside a lab host, for trees of many datasets: `create TREE COUNT` makes them, mounted; `change TREE COUNT` adds a line to the
 * file of each but every third that has one; `sum TREE COUNT` prints the SHA-256 of what is in all files.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import { mount } from 'flocker-zfs/datasets'
import { create } from 'flocker-zfs/lzc'

async function eachOf<T>(items: readonly T[], act: (item: T, i: number) => Promise<void>): Promise<void> {
  const queue = [...items.entries()]
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await act(next[1], next[0])
  }
  await Promise.all(Array.from({ length: 16 }, work))
}

async function createAll(tree: string, names: readonly string[]): Promise<void> {
  const parent = tree.slice(0, tree.lastIndexOf('/'))
  await create(parent, { properties: { canmount: 'off' } }).catch((error: { code?: string }) => {
    if (error.code !== 'EXISTS') throw error
  })
  await create(tree, { properties: { mountpoint: '/srv/many' } })
  await mount(tree)
  await eachOf(names, (name) => create(name))
  for (const name of names) await mount(name)
}

async function change(names: readonly string[]): Promise<void> {
  await eachOf(names, async (name, i) => {
    const path = `/srv/many/${name.slice(name.lastIndexOf('/') + 1)}/file`
    if (i % 3 !== 0 || !existsSync(path)) await appendFile(path, `${i}\n`.repeat(1 + (i % 50)))
  })
}

/** Leaves what it has mounted so. */
async function sum(names: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const name of names) hash.update(await readFile(`${await mount(name)}/file`))
  return hash.digest('hex')
}

async function main([action, tree = '', count]: string[]): Promise<void> {
  const names = Array.from({ length: Number(count) }, (_, i) => `${tree}/c${i}`)
  if (action === 'create') await createAll(tree, names)
  if (action === 'change') await change(names)
  if (action === 'sum') console.log(await sum(names))
}

void main(process.argv.slice(2))
