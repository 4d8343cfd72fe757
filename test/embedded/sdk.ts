/** Streams through this package, the engine being whichever the process has chosen. */
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as assert from 'uvu/assert'
import { getProperties } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, failure } from '../zfs/pool.js'
import { ResumeToken } from './resume-token.js'
import type { Receiving, Sending } from './side.js'

export async function send(snapshot: string, { flags, from, token }: Sending): Promise<Buffer> {
  const [embedded, largeBlocks, compressed, raw] = [1, 2, 4, 8].map((bit) => (flags & bit) !== 0) as [
    boolean,
    boolean,
    boolean,
    boolean,
  ]
  const options = { flags: { embedded, largeBlocks, compressed, raw }, ...(from === undefined ? {} : { from }) }
  if (token === undefined) return collect(lzc.send(snapshot, options))
  const { toname, object, offset } = new ResumeToken(token)
  // The token names the snapshot as the first sender did.
  assert.is(toname.split('@')[1], snapshot.split('@')[1])
  return collect(lzc.send(snapshot, { ...options, resume: { object: BigInt(object), offset: BigInt(offset) } }))
}

export async function receive(snapshot: string, stream: Buffer, { origin, cut = false }: Receiving): Promise<void> {
  const raw = lzc.parseBeginRecord(stream.subarray(0, lzc.beginRecordBytes)).features.includes('raw')
  const sink = lzc.receive(snapshot, { resumable: true, raw, ...(origin === undefined ? {} : { origin }) })
  const received = pipeline(Readable.from([stream]), new PassThrough(), sink)
  if (cut) assert.is((await failure(received)).code, 'STREAM_TRUNCATED')
  else await received
}

export async function token(dataset: string): Promise<string> {
  return String((await getProperties(dataset)).receive_resume_token?.value)
}
