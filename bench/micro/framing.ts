/** Cutting what arrives at a data connection into frames. */
import { FrameDecoder, FrameType, frame } from '../../src/transport/frames.js'
import type { Benchmark } from '../frame/benchmark.js'
import { type Case, measure } from './measure.js'

const kibibyte = 1024
const wireBytes = 64 * kibibyte ** 2
const cost = { key: 'microseconds', label: 'time', unit: 'µs/MB', better: 'less' } as const

function wire(bodyBytes: number): Buffer {
  const one = frame(FrameType.DATA, Buffer.alloc(bodyBytes, 7))
  return Buffer.concat(Array.from({ length: Math.floor(wireBytes / one.length) }, () => one))
}

function decode(bytes: Buffer, chunkBytes: number): number {
  const decoder = new FrameDecoder()
  let seen = 0
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    for (const piece of decoder.push(bytes.subarray(at, at + chunkBytes))) seen += piece.bytes.length
  }
  return seen
}

export const framing: Benchmark = {
  name: 'framing',
  title: 'Framing of data connections',
  async run(context) {
    const rows = [4, 64, 256, 1023].flatMap((x) => {
      const bytes = wire(x * kibibyte)
      const cases = [16, 256].map(
        (chunk): Case => ({ label: `in chunks of ${chunk} KiB`, x, run: () => decode(bytes, chunk * kibibyte) }),
      )
      return measure(cases, context, (seconds) => ({ microseconds: seconds / (bytes.length / 1e12) }))
    })
    const about =
      'What the JavaScript data plane does to the bytes that come out of TLS, which arrive in chunks of 16 KiB: slices, no copies.'
    return { sections: [{ title: 'Decoding frames', about, measures: [cost], axis: 'KiB a frame', rows }] }
  },
}
