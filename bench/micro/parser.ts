/** Reading a send stream and checking it, in chunks as a pipe and a socket give them. */
import { randomBytes } from 'node:crypto'
import { StreamParser } from '../../src/stream/parser.js'
import { begin, end, makeStream, object, write } from '../../test/unit/stream-fixtures.js'
import type { Benchmark } from '../frame/benchmark.js'
import { type Case, measure, megabytesPerSecond, throughput } from './measure.js'

const kibibyte = 1024
const streamBytes = 4 * kibibyte ** 2

/** A stream of files of one block each. */
function stream(blockBytes: number): Buffer {
  const block = randomBytes(blockBytes)
  const files = Array.from({ length: streamBytes / blockBytes }, () => [object(176), write(block)])
  return makeStream([begin(), ...files.flat(), end()])
}

function parse(bytes: Buffer, chunkBytes: number): void {
  const parser = new StreamParser()
  for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes))
  parser.end()
}

export const parser: Benchmark = {
  name: 'parser',
  title: 'The stream parser',
  async run(context) {
    const rows = [4, 128, 1024].flatMap((x) => {
      const bytes = stream(x * kibibyte)
      const cases = [64, 1024].map(
        (chunk): Case => ({ label: `in chunks of ${chunk} KiB`, x, run: () => parse(bytes, chunk * kibibyte) }),
      )
      return measure(cases, context, megabytesPerSecond(bytes.length))
    })
    const about =
      'Every record parsed and every fletcher-4 checksum verified, over the size of the blocks in the stream. On no path of a push: for `verifyStream` and `inspectStream`.'
    return { sections: [{ title: 'Parsing and verifying', about, measures: [throughput], axis: 'KiB a block', rows }] }
  },
}
