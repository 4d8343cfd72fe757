import type { Readable } from 'node:stream'

/** Keeps all that a stream gives. An error of the stream is left to who waits for the command's end, which carries it too. */
export function collect(stream: Readable): { bytes(): Buffer; stop(): void } {
  const chunks: Buffer[] = []
  const errors: Error[] = []
  const note = (error: Error) => void errors.push(error)
  stream.on('error', note)
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return {
    bytes: () => Buffer.concat(chunks),
    stop: () => {
      stream.removeAllListeners('data')
      stream.resume() // what a child in the background still writes is nobody's
    },
  }
}
