/** Transfers of zeros between two processes: many at once, and long ones. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../../src/transport/index.js'
import type { Benchmark, Context } from '../frame/benchmark.js'
import { Child } from '../frame/child.js'
import type { Sample, Section } from '../frame/result.js'
import { type Contender, interleave } from '../frame/rounds.js'
import type { Used } from '../frame/watch.js'
import { javascriptLabel, nativeLabel } from '../wire/ours.js'
import { nativeProblem, type PlaneChoice } from '../wire/plane.js'
import type { Order, Said } from './end.js'

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3
const program = join(__dirname, 'end.js')

const loopLimit = { key: 'delayP99', label: 'event loop delay, p99', unit: 'ms', better: 'less' as const, limit: 10 }
const speed = [
  { key: 'throughput', label: 'throughput of all', unit: 'MB/s', better: 'more' as const },
  { key: 'cpu', label: 'CPU, both ends', unit: 's/GB', better: 'less' as const },
]
const memory = [
  { key: 'senderRss', label: 'memory of the sender', unit: 'MiB', better: 'less' as const },
  { key: 'receiverRss', label: 'memory of the receiver', unit: 'MiB', better: 'less' as const },
]

type Plain = Pick<Order, 'plane' | 'transfers' | 'bytes'>

/** One run: two new processes, so many transfers between them, all begun at once. */
async function between(directory: string, plain: Plain): Promise<Sample> {
  const order = (role: Order['role'], port: number): Order => {
    const [self, peer] = role === 'send' ? ['alpha', 'beta'] : ['beta', 'alpha']
    return { ...plain, role, port, peer: peer as string, credentials: join(directory, self as string) }
  }
  await using receiver = new Child(program, order('receive', 0))
  const { port } = await receiver.hears<Extract<Said, { port: number }>>()
  await using sender = new Child(program, order('send', port))
  await sender.hears()
  const done = Promise.all([sender.hears<Used>(), receiver.hears<Used>()])
  const began = performance.now()
  receiver.tell()
  sender.tell()
  const [sent, received] = await done
  const seconds = (performance.now() - began) / 1000
  sender.tell()
  receiver.tell()
  await Promise.all([sender.ended(), receiver.ended()])
  const bytes = plain.bytes * plain.transfers
  return {
    throughput: bytes / 1e6 / seconds,
    cpu: (sent.cpuSeconds + received.cpuSeconds) / (bytes / 1e9),
    delayP99: Math.max(sent.delayP99, received.delayP99),
    senderRss: sent.peakRss / mebibyte,
    receiverRss: received.peakRss / mebibyte,
  }
}

async function withCredentials<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-scale-'))
  try {
    await createCa(join(directory, 'ca'))
    for (const identity of ['alpha', 'beta']) {
      await createHostCertificate(join(directory, 'ca'), join(directory, identity), {
        identity,
        addresses: ['127.0.0.1'],
      })
    }
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const planes: readonly { label: string; plane: PlaneChoice }[] = [
  ...(nativeProblem === undefined ? [{ label: nativeLabel, plane: 'auto' as const }] : []),
  { label: javascriptLabel, plane: 'javascript' },
]

/** Ever more transfers, long enough for their beginning, 64 handshakes, to be a small part. */
async function atOnce(directory: string, context: Context): Promise<Section> {
  const [least, each] = context.quick ? [64 * mebibyte, 8 * mebibyte] : [gibibyte, 128 * mebibyte]
  const contenders = [1, 4, 16, 64].flatMap((x) =>
    planes.map(
      ({ label, plane }): Contender => ({
        ...{ label, x },
        run: () => between(directory, { plane, transfers: x, bytes: Math.max(least / x, each) }),
      }),
    ),
  )
  const measures = [...speed, loopLimit, ...memory]
  const rows = await interleave(contenders, context.quick ? 1 : 3, measures, context)
  const about = `${least / mebibyte} MiB of zeros in all, or ${each / mebibyte} MiB each where that is more, from \`head\` through pipes and loopback to \`cat\`, in so many transfers at once, between one process and another. Memory is the most resident memory of each process, Node.js itself included. The event loop's delay is that of the worse end.`
  return { title: '1 to 64 transfers at once', about, measures, axis: 'transfers', rows }
}

/** One transfer, ever longer. */
async function long(directory: string, context: Context): Promise<Section> {
  const sizes = context.quick ? [0.125, 0.5] : [1, 4, 16]
  const [best] = planes
  if (best === undefined) throw new Error('there is no data plane')
  const contenders = sizes.map(
    (x): Contender => ({
      ...{ label: best.label, x },
      run: () => between(directory, { plane: best.plane, transfers: 1, bytes: x * gibibyte }),
    }),
  )
  const measures = [...memory, loopLimit, ...speed]
  const rows = await interleave(contenders, 1, measures, context)
  const about = 'One transfer of zeros of 1, 4 and 16 GiB: what grows with the size of the stream is a leak.'
  return { title: 'Memory and event loop over the size of a stream', about, measures, axis: 'GiB', rows }
}

export const transfers: Benchmark = {
  name: 'transfers',
  title: 'Many transfers at once, and long ones',
  run: (context) =>
    withCredentials(async (directory) => ({
      sections: [await atOnce(directory, context), await long(directory, context)],
    })),
}
