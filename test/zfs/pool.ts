/** What the tests on a real pool share. They run inside a host of the lab, or as root on a machine with ZFS. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { FlockerError } from '../../src/errors.js'

const execFileAsync = promisify(execFile)

/** An existing, empty pool. */
export const pool = process.env.TEST_POOL ?? 'tank'

/** The zfs command, as an oracle. */
export async function zfs(...args: string[]): Promise<string> {
  const { stdout } = await execFileAsync('zfs', args, { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

let count = 0
/** A dataset's name that no test has used. */
export const fresh = (): string => `${pool}/t${process.pid}-${++count}`

/** Creates and mounts a filesystem, and fills it with files of random bytes. */
export async function filled(mebibytes = 2): Promise<string> {
  const name = fresh()
  await zfs('create', name)
  await fill(name, 'a', mebibytes)
  return name
}

export async function fill(dataset: string, prefix: string, mebibytes: number): Promise<void> {
  await mkdir(`/${dataset}`, { recursive: true })
  for (let i = 0; i < mebibytes; i++) await writeFile(`/${dataset}/${prefix}${i}`, randomBytes(1024 * 1024))
}

/** A digest of every file's name and content below a directory. */
export async function digest(directory: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(directory, { recursive: true })).sort()) {
    if (name.endsWith('/')) continue
    hash.update(name).update(await readFile(join(directory, name)))
  }
  return hash.digest('hex')
}

/** What a promise rejects with, which must be an error of this package. */
export async function failure(promise: Promise<unknown>): Promise<FlockerError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof FlockerError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** All of a stream, once it has closed. */
export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  if (!stream.closed) await once(stream, 'close')
  return Buffer.concat(chunks)
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** Aborts a send or a receive, which must end within a second. */
export async function endsAtOnce(stream: Readable | Writable, abort: AbortController): Promise<void> {
  const closed = new Promise((resolve) => stream.once('close', resolve))
  const error = new Promise<Error & { code?: string }>((resolve) => stream.once('error', resolve))
  const started = performance.now()
  abort.abort()
  assert.is((await error).code, 'ABORTED')
  await closed
  assert.ok(performance.now() - started < 1000, 'within a second')
}

/** This process's pipes, eventfds and /dev/zfs descriptors. */
export function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/, '')]
    } catch (error) {
      // The descriptor of the listing itself.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  })
}

export const threads = (): number => readdirSync('/proc/self/task').length

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Waits until something holds; fails after a while. */
export async function eventually(condition: () => boolean | Promise<boolean>, milliseconds = 5000): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come to hold in time')
    await pause(20)
  }
}

/** Runs something and checks that it leaves neither a descriptor nor, where they are all ours, a thread. */
export async function leavesNothing(body: () => Promise<void>, ours = true): Promise<void> {
  const before = { fds: await settledDescriptors(), threads: threads() }
  await body()
  if (ours) await eventually(() => threads() <= before.threads)
  assert.equal(await settledDescriptors(), before.fds)
}

/** The descriptors once none comes or goes: what a test before has closed can take a moment to be gone. */
async function settledDescriptors(): Promise<string[]> {
  let last = ''
  let unchanged = 0
  await eventually(async () => {
    await pause(30)
    const now = descriptors().sort().join()
    unchanged = now === last ? unchanged + 1 : 0
    last = now
    return unchanged === 4
  })
  return last.split(',')
}
