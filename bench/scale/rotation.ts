/** What moving to fresh connections and a bandwidth limit cost a stream, both ends in this process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
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
} from '../../src/transport/index.js'
import type { Benchmark, Context } from '../frame/benchmark.js'
import type { Row, Sample } from '../frame/result.js'
import { interleave } from '../frame/rounds.js'

const mebibyte = 1024 ** 2
const chunk = Buffer.alloc(256 * 1024, 7)
const plainLabel = 'one connection'

const measures = [
  { key: 'cpu', label: 'CPU, both ends', unit: 's/GB', better: 'less' as const },
  { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const },
]

interface Variant {
  label: string
  keyBytes?: number
  options?: () => TransferOptions
}

const variants: readonly Variant[] = [
  { label: plainLabel },
  { label: 'a fresh one every 48 MiB', keyBytes: 64 * mebibyte },
  { label: 'a limit that is never reached', options: () => ({ limiter: new RateLimiter(1e12) }) },
  { label: 'a limit of 100 MB/s', options: () => ({ limiter: new RateLimiter(1e8) }) },
]

const offer = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

async function compare(directory: string, bytes: number, rounds: number, context: Context): Promise<Row[]> {
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
  const run = async ({ keyBytes, options }: Variant): Promise<Sample> => {
    const target = { host: '127.0.0.1', port: server.port, credentials: alpha, expectIdentity: 'beta' }
    await using connection = await connect({ ...target, ...(keyBytes === undefined ? {} : { keyBytes }) })
    return await transfer(connection, offers, bytes, options?.())
  }
  const contenders = variants.map((variant) => ({ label: variant.label, run: () => run(variant) }))
  // Awaited here: the server is closed when this function ends.
  return await interleave(contenders, rounds, measures, context)
}

async function transfer(
  connection: Connection,
  offers: DataOffer[],
  bytes: number,
  options?: TransferOptions,
): Promise<Sample> {
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
  return { throughput: bytes / 1000 / (performance.now() - started), cpu: ((user + system) * 1000) / bytes }
}

export const rotation: Benchmark = {
  name: 'rotation',
  title: 'Fresh connections and bandwidth limits',
  async run(context) {
    const bytes = (context.quick ? 64 : 512) * mebibyte
    const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-bench-'))
    try {
      const rows = await compare(directory, bytes, context.quick ? 1 : 5, context)
      const about = `${bytes / mebibyte} MiB over loopback, from memory to nowhere through streams of JavaScript, with the default data plane and both ends in one process. Ratios below 1 in CPU: plain is cheaper.`
      return { sections: [{ title: 'The same stream, moved with care', about, measures, rows, ours: plainLabel }] }
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
}
