/** The ends of pipes as streams, for both data planes; and whether this build has the native one. */
import { createReadStream, createWriteStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import * as transport from '../../src/transport/index.js'

export type Plane = 'auto' | 'javascript'

interface NativePipes {
  pipeSource(fd: number): Readable
  pipeSink(fd: number): Writable
}

const native: Partial<NativePipes> = transport as Partial<NativePipes>

export const hasNativePlane = native.pipeSource !== undefined

/** What `connect` and `listen` are told. */
export function planeOption(dataPlane: Plane): object {
  return hasNativePlane ? { dataPlane } : {}
}

export function source(fd: number, plane: Plane): Readable {
  return plane === 'auto' && native.pipeSource
    ? native.pipeSource(fd)
    : createReadStream('', { fd, highWaterMark: 1024 ** 2 })
}

export function sink(fd: number, plane: Plane): Writable {
  return plane === 'auto' && native.pipeSink
    ? native.pipeSink(fd)
    : createWriteStream('', { fd, highWaterMark: 1024 ** 2 })
}
