import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FlockerError } from '../errors.js'
import type { DataChannel, TransferOptions } from '../transport/index.js'

type Channel = { channel: () => Promise<DataChannel> }

/**
 * Moves a stream from where it comes out to where it goes in, of which at most one is a data connection. Whatever this fails
 * with, both ends are ended with it.
 * @returns the stream's bytes
 */
export async function move(
  from: { stream: Readable } | Channel,
  to: { sink: Writable } | Channel,
  options: TransferOptions,
): Promise<bigint> {
  try {
    if ('stream' in from) {
      if ('sink' in to) return await pipe(from.stream, to.sink, options)
      return await (await to.channel()).send(from.stream, options)
    }
    if ('sink' in to) return await (await from.channel()).receive(to.sink, options)
    throw new FlockerError('INTERNAL', 'A stream between two peers does not go through this host')
  } catch (error) {
    for (const end of [...('stream' in from ? [from.stream] : []), ...('sink' in to ? [to.sink] : [])]) {
      if (!end.destroyed) end.destroy(error as Error)
    }
    throw error
  }
}

async function pipe(stream: Readable, sink: Writable, { signal, onBytes }: TransferOptions): Promise<bigint> {
  let bytes = 0n
  const count = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      yield chunk
      bytes += BigInt(chunk.length)
      onBytes?.(bytes)
    }
  }
  await pipeline(stream, count, sink, signal === undefined ? {} : { signal })
  return bytes
}
