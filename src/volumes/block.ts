/** A block volume's bytes, where OpenZFS is in this process and there is no device to open. */
import { Readable, Writable } from 'node:stream'
import { getProperties } from '../datasets/index.js'
import { ArgumentError, NotSupportedError, ZfsError } from '../errors.js'
import { discardVolume, flushVolume, isEmbedded, readVolume, writeVolume } from '../lzc/index.js'

/** A place in a volume, in bytes. */
export type Offset = number | bigint

/** What one call moves at most, so that memory stays bounded. */
const chunkBytes = 1024 * 1024
const longestBytes = 256 * chunkBytes

export function checkReadable(dataset: string): void {
  if (isEmbedded()) return
  throw new NotSupportedError(`${dataset} can't be read and written here: the kernel does that`, {
    dataset,
    next: `Open its device, /dev/zvol/${dataset}, or the files below its mountpoint.`,
  })
}

function toBigInt(value: Offset, what: string): bigint {
  if (typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  throw new ArgumentError(`${what} must be a whole number of bytes, 0 or more; it is ${value}`)
}

function checkLength(length: number): number {
  if (Number.isSafeInteger(length) && length >= 0 && length <= longestBytes) return length
  throw new ArgumentError(`A length must be 0 to ${longestBytes} bytes; it is ${length}`)
}

/** A volume's size in bytes. */
export async function sizeOf(dataset: string): Promise<bigint> {
  const size = (await getProperties(dataset)).volsize?.value
  if (typeof size === 'bigint') return size
  throw new ZfsError('INVALID_ARGUMENT', `${dataset} is not a block volume`, { dataset })
}

export async function readAt(dataset: string, offset: Offset, length: number): Promise<Buffer> {
  const from = toBigInt(offset, 'offset')
  checkLength(length)
  checkReadable(dataset)
  return readVolume(dataset, from, length)
}

export async function writeAt(dataset: string, offset: Offset, bytes: Uint8Array): Promise<void> {
  const to = toBigInt(offset, 'offset')
  checkLength(bytes.byteLength)
  checkReadable(dataset)
  await writeVolume(dataset, to, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

export async function discardAt(dataset: string, offset: Offset, length: Offset): Promise<void> {
  const [from, count] = [toBigInt(offset, 'offset'), toBigInt(length, 'length')]
  checkReadable(dataset)
  await discardVolume(dataset, from, count)
}

export async function flush(dataset: string): Promise<void> {
  checkReadable(dataset)
  await flushVolume(dataset)
}

/** A range of a block volume's bytes. */
export interface ReadableRange {
  /** The first byte. Default: 0. */
  start?: Offset
  /** The last byte, itself included, as in fs.createReadStream. Default: the volume's last. */
  end?: Offset
}

export function readable(dataset: string, { start = 0n, end }: ReadableRange = {}): Readable {
  let at = toBigInt(start, 'start')
  let stop = end === undefined ? undefined : toBigInt(end, 'end') + 1n
  checkReadable(dataset)
  const next = async (): Promise<Buffer | null> => {
    stop ??= await sizeOf(dataset)
    if (at >= stop) return null
    const length = Math.min(chunkBytes, Number(stop - at))
    const bytes = await readVolume(dataset, at, length)
    at += BigInt(length)
    return bytes
  }
  return new Readable({
    highWaterMark: chunkBytes,
    read() {
      next().then(
        (bytes) => this.push(bytes),
        (error: Error) => this.destroy(error),
      )
    },
  })
}

export function writable(dataset: string, { start = 0n }: { start?: Offset } = {}): Writable {
  let at = toBigInt(start, 'start')
  checkReadable(dataset)
  const put = async (bytes: Buffer): Promise<void> => {
    await writeVolume(dataset, at, bytes)
    at += BigInt(bytes.length)
  }
  return new Writable({
    highWaterMark: 4 * chunkBytes,
    write: (bytes: Buffer, _encoding, done) => void put(bytes).then(() => done(), done),
    writev: (chunks, done) => {
      const all = Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer))
      void put(all).then(() => done(), done)
    },
    final: (done) => void flushVolume(dataset).then(() => done(), done),
  })
}
