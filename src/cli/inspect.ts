import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { inspectStream, recordTypes, type StreamInfo, type StreamRecord, type StreamSummary } from '../stream/index.js'
import { bigintAsText } from './json.js'

interface InspectFlags {
  json?: boolean
  records?: boolean
}

/** `flocker-zfs inspect FILE`: checks a send stream and says what is in it. Needs no ZFS. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Check a send stream and say what is in it')
    .argument('<file>', 'file with the stream, or - for standard input')
    .option('--records', 'list every record first')
    .option('--json', 'print JSON: the summary on one line, after one line for each record with --records')
    .action(inspect)
}

async function inspect(file: string, { json = false, records = false }: InspectFlags): Promise<void> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort(new DOMException('interrupted', 'AbortError'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  // A reader that has seen enough, such as head, ends the listing.
  process.stdout.on('error', stop)
  try {
    const show = json ? recordAsJson : describeRecord
    const summary = await inspectStream(await source(file), {
      signal: interrupt.signal,
      ...(records ? { onRecord: (record) => console.log(show(record)) } : {}),
    })
    console.log(json ? JSON.stringify(summary, bigintAsText) : describe(summary))
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

async function source(file: string): Promise<Readable> {
  if (file === '-') {
    if (process.stdin.isTTY)
      throw new ArgumentError('A send stream is not read from a terminal: give a file, or a pipe')
    return process.stdin
  }
  const handle = await open(file).catch((cause: Error) => {
    throw new ArgumentError(`${file} can't be read: ${cause.message}`, { cause })
  })
  if ((await handle.stat()).isDirectory()) {
    await handle.close()
    throw new ArgumentError(`${file} is a directory; a send stream is a file`)
  }
  return handle.createReadStream({ highWaterMark: 1024 * 1024 })
}

const recordAsJson = (record: StreamRecord): string => JSON.stringify(record, bigintAsText)

function describeRecord({ type, offset, payloadBytes, fields }: StreamRecord): string {
  const about = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`)
  return `${offset} ${type} payload=${payloadBytes}${about.join('')}`
}

function describe(summary: StreamSummary): string {
  const { kind, toname, streams, streamCount, records, total, bytes } = summary
  const head = kind === 'compound' ? [`compound stream of ${printable(toname ?? '')}: ${streamCount} streams`] : []
  const more = streamCount > streams.length ? [`... and ${streamCount - streams.length} more`] : []
  const row = (name: string, count: unknown, payload: unknown): string =>
    `${name.padEnd(16)}${String(count).padStart(12)}${String(payload).padStart(20)}`
  return [
    ...head,
    ...streams.flatMap(describeStream),
    ...more,
    '',
    row('record', 'count', 'payload bytes'),
    ...recordTypes.map((type) => row(type, records[type].count, records[type].payloadBytes)),
    row('total', total.count, total.payloadBytes),
    '',
    `${bytes} bytes, every checksum is right`,
  ].join('\n')
}

function describeStream({ toname, type, toguid, fromguid, creation, features, resume, ...rest }: StreamInfo): string[] {
  const kind = fromguid === 0n ? 'full' : 'incremental'
  const facts = [
    `guid ${toguid}`,
    ...(fromguid === 0n ? [] : [`from guid ${fromguid}`]),
    `created ${describeTime(creation)}`,
    ...(features.length === 0 ? [] : [`features ${features.join(' ')}`]),
    ...(resume === undefined ? [] : [`resumed at object ${resume.object}, offset ${resume.offset}`]),
    ...(rest.byteswapped ? ['of the other byte order'] : []),
  ]
  return [`${printable(toname)} (${type}, ${kind})`, ...facts.map((fact) => `  ${fact}`)]
}

/** The last second that a Date can hold. */
const lastSecond = 8_640_000_000_000n

const describeTime = (seconds: bigint): string =>
  seconds <= lastSecond ? new Date(Number(seconds) * 1000).toISOString() : `at second ${seconds}`

/** A name as it is safe on a terminal: a stream can hold any bytes as one. */
const printable = (name: string): string =>
  name.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
