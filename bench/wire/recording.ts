/** A real send stream in a file: made once by the embedded engine, and kept. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, existsSync } from 'node:fs'
import { mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from '../../test/embedded/engine.js'
import { benchCache } from '../tools/cache.js'

const mebibyte = 1024 ** 2

export interface Recording {
  path: string
  bytes: number
}

/** A stream of at least so many MiB. */
export async function ensureRecording(mebibytes: number, say: (line: string) => void): Promise<Recording> {
  const cache = await benchCache()
  const path = join(cache, `stream-${mebibytes}.zfs`)
  if (!existsSync(path)) await record(path, cache, mebibytes, say)
  const { size } = await stat(path)
  if (size < mebibytes * mebibyte) throw new Error(`${path} is too short: ${size} bytes`)
  await readOnce(path)
  return { path, bytes: size }
}

/** Whoever comes first would measure the disk. */
async function readOnce(path: string): Promise<void> {
  for await (const _ of createReadStream(path, { highWaterMark: mebibyte }));
}

async function record(path: string, cache: string, mebibytes: number, say: (line: string) => void): Promise<void> {
  say(`recording a stream of ${mebibytes} MiB, once`)
  const directory = await mkdtemp(join(cache, 'recording-'))
  try {
    const file = join(directory, 'stream')
    const order = JSON.stringify({ directory, mebibytes, file })
    const recorder = spawn(process.execPath, [join(__dirname, 'record.js'), order], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, FLOCKER_ZFS_EMBEDDED_LIBRARY: (await build('2.3')).library },
    })
    const [status] = await once(recorder, 'exit')
    if (status !== 0) throw new Error('the stream could not be recorded')
    await rename(file, path)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
