/** Volumes with something in them, and what their streams hold. */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { getProperties } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, failure, fresh } from '../zfs/pool.js'
import type { EngineUnderTest } from './engine.js'

export const mebibyte = 1024 * 1024

/** A volume of 4 MiB with a random one at its beginning; or of so many, all of them random. */
export async function newVolume(engine: EngineUnderTest, mebibytes?: number): Promise<string> {
  const name = fresh()
  await lzc.create(name, { type: 'volume', properties: { volsize: `${mebibytes ?? 4}M` } })
  await engine.write(name, 0, randomBytes((mebibytes ?? 1) * mebibyte))
  return name
}

/** Changes 64 KiB of a volume, and takes a snapshot of it. */
export async function change(engine: EngineUnderTest, name: string, snapshot: string, offset = 0): Promise<void> {
  await engine.write(name, offset, randomBytes(65_536))
  await lzc.snapshot(`${name}@${snapshot}`)
}

/** A volume with three snapshots, and the streams of them. */
export async function newHistory(engine: EngineUnderTest) {
  const name = await newVolume(engine)
  await lzc.snapshot(`${name}@1`)
  await change(engine, name, '2', mebibyte)
  await change(engine, name, '3', 2 * mebibyte)
  const full = await sent(`${name}@1`)
  const second = await sent(`${name}@2`, { from: `${name}@1` })
  const third = await sent(`${name}@3`, { from: `${name}@2` })
  return { name, full, second, third }
}

export const sent = (snapshot: string, options: lzc.SendOptions = {}): Promise<Buffer> =>
  collect(lzc.send(snapshot, options))

/** Receives a stream that comes in pieces. */
export async function feed(stream: Buffer, snapshot: string, options: lzc.ReceiveOptions = {}) {
  const receiving = lzc.receive(snapshot, options)
  await pipeline(Readable.from(pieces(stream)), receiving)
  return receiving.result
}

export function* pieces(stream: Buffer): Generator<Buffer> {
  for (let at = 0; at < stream.length; at += 65_536) yield stream.subarray(at, at + 65_536)
}

/** The code that receiving a stream fails with. */
export const refusal = async (stream: Buffer, snapshot: string, options: lzc.ReceiveOptions = {}): Promise<string> =>
  (await failure(feed(stream, snapshot, options))).code

export const guidOf = async (name: string): Promise<unknown> => (await getProperties(name)).guid?.value

export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const recordBytes = 312
/** Each record ends in its checksum, which covers the BEGIN record with the sender's name. */
const checksumAt = recordBytes - 32
const kinds = { begin: 0, object: 1, write: 3, end: 5, spill: 7, embedded: 8 }

export interface StreamRecord {
  /** Where it is in the stream. */
  at: number
  type: number
  header: Buffer
  payload: Buffer
}

/** A stream's records, by the sizes in include/sys/zfs_ioctl.h. */
export function* recordsOf(stream: Buffer): Generator<StreamRecord> {
  for (let at = 0; at < stream.length; ) {
    const header = stream.subarray(at, at + recordBytes)
    const end = at + recordBytes + payloadBytes(header)
    yield { at, type: header.readUInt32LE(0), header, payload: stream.subarray(at + recordBytes, end) }
    at = end
  }
}

function payloadBytes(header: Buffer): number {
  const roundUp = (size: number): number => (size + 7) & ~7
  const long = (at: number): number => Number(header.readBigUInt64LE(at))
  switch (header.readUInt32LE(0)) {
    case kinds.begin:
      return header.readUInt32LE(4)
    case kinds.object:
      return header.readUInt32LE(36) || roundUp(header.readUInt32LE(28))
    case kinds.write:
      return header.readUInt8(50) === 0 ? long(32) : long(96)
    case kinds.spill:
      return long(40) || long(16)
    case kinds.embedded:
      return roundUp(header.readUInt32LE(52))
    default:
      return 0
  }
}

/** A digest of all that a stream says but for the name of the snapshot at its sender. */
export function contentOf(stream: Buffer): string {
  const hash = createHash('sha256')
  for (const { type, header, payload } of recordsOf(stream)) {
    if (type === kinds.end) continue
    hash.update(header.subarray(0, type === kinds.begin ? 56 : checksumAt)).update(payload)
  }
  return hash.digest('hex')
}
