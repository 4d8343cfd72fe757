/** More pools, on sparse files, for what needs devices of its own. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

export async function zpool(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('zpool', args, { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

export interface ExtraPool extends AsyncDisposable {
  name: string
  directory: string
  files: string[]
}

/** Small ones have no room for what ZFS keeps in reserve. */
export const fileBytes = 512 * 1024 * 1024

let count = 0

/**
 * Creates a pool. Disposed of, it is destroyed.
 * @param layout what zpool create takes, with the files as `0`, `1`, ...: `['mirror', '0', '1']`
 */
export async function extraPool(
  layout: readonly string[] = ['0'],
  options: readonly string[] = [],
): Promise<ExtraPool> {
  const name = `extra${process.pid}-${++count}`
  const directory = await mkdtemp(join('/tmp', `${name}-`))
  const files: string[] = []
  const words: string[] = []
  for (const word of layout) {
    const file = join(directory, `disk${word}`)
    if (!/^\d+$/.test(word)) {
      words.push(word)
      continue
    }
    await writeFile(file, '')
    await truncate(file, fileBytes)
    files.push(file)
    words.push(file)
  }
  await zpool('create', '-O', `mountpoint=/${name}`, ...options, name, ...words)
  return {
    name,
    directory,
    files,
    async [Symbol.asyncDispose]() {
      await destroyPool(name)
      await rm(directory, { recursive: true })
    },
  }
}

/** What was refused or ended a moment ago may not have let go of the pool yet. */
export async function destroyPool(name: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await zpool('destroy', '-f', name)
      return
    } catch (error) {
      if (tries === 20 || !String(error).includes('busy')) throw error
      await pause(250)
    }
  }
}

/** Sets a parameter of the zfs module until it is disposed of. */
export async function moduleParameter(name: string, value: string): Promise<AsyncDisposable> {
  const { readFile } = await import('node:fs/promises')
  const file = `/sys/module/zfs/parameters/${name}`
  const before = await readFile(file, 'utf8')
  await writeFile(file, value)
  return { [Symbol.asyncDispose]: () => writeFile(file, before) }
}
