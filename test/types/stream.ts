/** The types of flocker-zfs/stream, which tsc checks and nobody runs: what fits, and what must not. */
import type { Readable, Transform, Writable } from 'node:stream'
import * as stream from '../../src/stream/index.js'
import { equal } from './equal.js'

export async function reading(input: Readable, output: Writable): Promise<void> {
  const summary = await stream.inspectStream(input, { signal: AbortSignal.timeout(1000), onRecord: told })
  equal<typeof summary, stream.StreamSummary>(true)
  equal<typeof summary.kind, 'single' | 'compound'>(true)
  equal<typeof summary.records.WRITE, stream.RecordFigures>(true)
  // @ts-expect-error: no such record
  summary.records.READ
  // @ts-expect-error: an output can't be read
  await stream.inspectStream(output)
  const verifier: Transform = stream.verifyStream()
  input.pipe(verifier).pipe(output)
}

function told(record: stream.StreamRecord): void {
  equal<typeof record.type, stream.RecordType>(true)
  equal<typeof record.offset, bigint>(true)
}

export function tokens(text: string): void {
  const token = stream.decodeResumeToken(text)
  equal<typeof token, stream.ResumeToken>(true)
  equal<typeof token.fromguid, bigint | undefined>(true)
  // @ts-expect-error: a full stream has none
  token.fromguid + 1n
  // @ts-expect-error: a token is a text
  stream.decodeResumeToken(Buffer.from(text))
}
