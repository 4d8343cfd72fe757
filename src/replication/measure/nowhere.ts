import { closeSync, openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { pipeSink, pipeSource } from '../../transport/index.js'

/** Takes everything, as fast as it comes. */
export const nowhere = (): Writable => over('/dev/null', 'w', pipeSink)

/** Zeros without an end. */
export const zeros = (): Readable => over('/dev/zero', 'r', pipeSource)

/** These devices behave as pipes that are never full or empty. The stream has a descriptor of its own. */
function over<Stream>(path: string, flags: 'r' | 'w', open: (descriptor: number) => Stream): Stream {
  const descriptor = openSync(path, flags)
  try {
    return open(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
