/**
 * `node build/bench/transport.js`: what moving to fresh connections and a bandwidth limit cost a stream, over loopback with both ends in this
 * process, taken in turn. Ratios are of CPU time to that of a stream without them: on a busy machine the clock says little.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { z } from 'zod'
import {
  type Connection,
  connect,
  createCa,
  createHostCertificate,
  type DataOffer,
  defineMethod,
  handle,
  listen,
  loadCredentials,
  RateLimiter,
  type TransferOptions,
} from '../src/transport/index.js'

const rounds = 5
const mebibyte = 1024 * 1024
const bytes = 512 * mebibyte
const chunk = Buffer.alloc(256 * 1024, 7)

const offer = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

interface Variant {
  label: string
  keyBytes?: number
  options?: TransferOptions
  samples: Sample[]
}

interface Sample {
  /** Megabytes per second. */
  rate: number
  /** CPU seconds per GB, of both ends together. */
  cpu: number
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-bench-'))
  const credentials = async (identity: string) => {
    await createHostCertificate(join(directory, 'ca'), join(directory, identity), { identity })
    return loadCredentials(join(directory, identity))
  }
  await createCa(join(directory, 'ca'))
  const offers: DataOffer[] = []
  const handler = handle(offer, (_, context) => {
    const made = context.offerData()
    offers.push(made)
    return { ticket: made.ticket }
  })
  const [alpha, beta] = [await credentials('alpha'), await credentials('beta')]
  await using server = await listen({ host: '127.0.0.1', port: 0, credentials: beta, handlers: [handler] })
  const variants: Variant[] = [
    { label: 'one connection', samples: [] },
    { label: 'a fresh one every 48 MiB', keyBytes: 64 * mebibyte, samples: [] },
    { label: 'a limit that is never reached', options: { limiter: new RateLimiter(1e12) }, samples: [] },
    { label: 'a limit of 100 MB/s', options: { limiter: new RateLimiter(1e8) }, samples: [] },
  ]
  for (let round = 0; round < rounds; round += 1) {
    for (const { keyBytes, options, samples } of variants) {
      const target = { host: '127.0.0.1', port: server.port, credentials: alpha, expectIdentity: 'beta' }
      await using connection = await connect({ ...target, ...(keyBytes === undefined ? {} : { keyBytes }) })
      samples.push(await transfer(connection, offers, options))
    }
  }
  await rm(directory, { recursive: true })
  print(variants)
}

async function transfer(connection: Connection, offers: DataOffer[], options?: TransferOptions): Promise<Sample> {
  const near = await connection.openData((await connection.request(offer, {})).ticket)
  const far = await offers.pop()?.channel()
  let left = bytes
  const source = new Readable({
    highWaterMark: 512 * 1024,
    read() {
      left -= chunk.length
      this.push(left >= 0 ? chunk : null)
    },
  })
  const sink = new Writable({ highWaterMark: mebibyte, write: (_, __, done) => done() })
  const started = performance.now()
  const before = process.cpuUsage()
  await Promise.all([near.send(source, options), far?.receive(sink)])
  const { user, system } = process.cpuUsage(before)
  return { rate: bytes / 1000 / (performance.now() - started), cpu: ((user + system) * 1000) / bytes }
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function print([plain, ...others]: Variant[]): void {
  console.log(`${cpus()[0]?.model} x ${cpus().length}, Node.js ${process.version}; ${bytes / mebibyte} MiB a stream\n`)
  if (plain === undefined) return
  for (const { label, samples } of [plain, ...others]) {
    const ratios = samples.map(({ cpu }, i) => cpu / (plain.samples[i]?.cpu ?? Number.NaN))
    const [rate, cpu] = [median(samples.map((sample) => sample.rate)), median(samples.map((sample) => sample.cpu))]
    console.log(
      `${label.padEnd(32)} ${rate.toFixed(0).padStart(4)} MB/s, ${cpu.toFixed(2)} CPU s/GB; ratio ${median(ratios).toFixed(3)}`,
    )
  }
}

void main()
