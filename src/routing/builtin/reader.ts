/** Reads a client's first bytes, within bounds. */
import type { Socket } from 'node:net'
import { OPENING_BYTES } from '../settings.js'
import type { Opening } from './opening.js'

/**
 * Reads until the opening is decided, then puts the bytes back and pauses the socket. A client that is too slow, says too much, or goes away
 * gives `invalid`.
 * @param parse reads all bytes that there are so far
 */
export function readOpening(client: Socket, parse: (bytes: Buffer) => Opening, milliseconds: number): Promise<Opening> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const finish = (opening: Opening) => {
      clearTimeout(timer)
      client.off('data', onData).off('end', onGone).off('close', onGone)
      client.pause()
      if (bytes.length > 0 && client.readable) client.unshift(bytes)
      resolve(opening)
    }
    const onGone = () => finish({ kind: 'invalid' })
    const onData = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      const opening = parse(bytes.subarray(0, OPENING_BYTES))
      if (opening.kind !== 'more') finish(opening)
      else if (bytes.length >= OPENING_BYTES) onGone()
    }
    const timer = setTimeout(onGone, milliseconds)
    client.on('data', onData).once('end', onGone).once('close', onGone)
    client.resume()
  })
}
