import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { takeLock } from '../lab/build/lock.js'

async function inDirectory(use: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-lock-'))
  try {
    await use(join(directory, 'lock'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('names its owner while it is held, and is gone afterwards', () =>
  inDirectory(async (path) => {
    const lock = await takeLock(path, undefined, () => assert.unreachable())
    assert.is((await readFile(path, 'utf8')).split(' ')[0], String(process.pid))
    await lock[Symbol.asyncDispose]()
    assert.is(await access(path).catch((error: NodeJS.ErrnoException) => error.code), 'ENOENT')
  }))

test('takes over from a process that is dead, and from one whose id was used again', () =>
  inDirectory(async (path) => {
    for (const dead of ['4194303 12345\n', `${process.pid} 1\n`, '']) {
      await writeFile(path, dead)
      const lock = await takeLock(path, AbortSignal.timeout(5000), () => assert.unreachable())
      await lock[Symbol.asyncDispose]()
    }
  }))

test('waits for a living owner, and can be aborted meanwhile', () =>
  inDirectory(async (path) => {
    const first = await takeLock(path, undefined, () => assert.unreachable())
    const waited: number[] = []
    const aborted = await takeLock(path, AbortSignal.timeout(50), (pid) => waited.push(pid)).catch((error) => error)
    assert.is(aborted.code, 'TIMEOUT')
    const second = takeLock(path, AbortSignal.timeout(10_000), (pid) => waited.push(pid))
    await sleep(100)
    await first[Symbol.asyncDispose]()
    await (await second)[Symbol.asyncDispose]()
    assert.equal(waited, [process.pid, process.pid])
  }))

test.run()
