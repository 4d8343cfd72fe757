/** The data plane on a recorded stream, beside everything that people move streams with. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createCa, createHostCertificate } from '../../src/transport/index.js'
import type { Benchmark } from '../frame/benchmark.js'
import type { Goal } from '../frame/result.js'
import { type Contender, interleave } from '../frame/rounds.js'
import { ensureMeasure } from '../tools/measure.js'
import { ensureTools, type Tools } from '../tools/packages.js'
import type { Wire } from './contender.js'
import { floor } from './floor.js'
import { encrypting, others, plainLabels } from './others.js'
import { javascriptLabel, nativeLabel, ours } from './ours.js'
import { nativeProblem } from './plane.js'
import { freePort } from './ports.js'
import { ensureRecording } from './recording.js'
import { transfer } from './transfer.js'

/** MiB of the stream, in place of 4096. */
const sizeVariable = 'FLOCKER_ZFS_BENCH_STREAM'

const measures = [
  { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const },
  { key: 'cpu', label: 'CPU, both ends', unit: 's/GB', better: 'less' as const },
  { key: 'senderCpu', label: 'CPU, sender', unit: 's/GB', better: 'less' as const },
  { key: 'receiverCpu', label: 'CPU, receiver', unit: 's/GB', better: 'less' as const },
]

/** Of the native data plane. */
const goals: Goal[] = [
  { measure: 'throughput', to: javascriptLabel, atLeast: 1.4 },
  { measure: 'cpu', to: javascriptLabel, atMost: 0.7 },
  ...encrypting.flatMap((to) => [
    { measure: 'throughput', to, atLeast: 1 },
    { measure: 'cpu', to, atMost: 1 },
  ]),
  ...Object.values(plainLabels).map((to) => ({ measure: 'throughput', to, atLeast: 0.7 })),
]

const about = `A recorded \`zfs send\` stream moves over loopback between whole processes on one machine, \`cat STREAM | sender\` to \`receiver | cat > /dev/null\`, through the shell's own pipes. The clock runs from the start of the sender, whose start-up counts, until both ends are gone; receivers and daemons listen by then. CPU is what getrusage(2) says of each end with all its processes and daemons, start-up included, without the two \`cat\`; with ssh the \`cat\` at the far end is subtracted. The kernel charges work on loopback to either end as it comes, so the sum of both is the sound figure. Everybody who encrypts uses AES-128-GCM, TLS is 1.3 with certificates on both ends, and \`openssl speed\` of the same round is the floor of the cipher: encryption at one end, decryption at the other. Plain TCP is the ceiling.`

export const wire: Benchmark = {
  name: 'wire',
  title: 'The data plane on a recorded stream',
  async run(context) {
    const { quick, say } = context
    const recording = await ensureRecording(Number(process.env[sizeVariable] ?? (quick ? 128 : 4096)), say)
    const tools = await ensureTools().catch((error: Error) => ({ missing: `can't be had: ${error.message}` }))
    const measure = await ensureMeasure()
    const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-wire-'))
    try {
      const place = { credentials: await certify(directory), measure, port: freePort }
      const contender = (one: Wire): Contender => ({
        label: one.label,
        missing: one.missing,
        run: () => transfer(one, recording, place, directory),
      })
      const contenders = [...[...ours, ...others(tools)].map(contender), floor]
      const rows = await interleave(contenders, quick ? 2 : 5, measures, context)
      const title = `${(recording.bytes / 1e9).toFixed(2)} GB from pipe to pipe over loopback`
      const best = nativeProblem === undefined ? nativeLabel : javascriptLabel
      return {
        sections: [{ title, about, measures, rows, ours: best, ...(nativeProblem === undefined && { goals }) }],
        versions: await versions(tools),
      }
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
}

/** Certificates for both ends; each names its host for those that look for names. */
async function certify(directory: string): Promise<{ sender: string; receiver: string }> {
  const credentials = { sender: join(directory, 'sender'), receiver: join(directory, 'receiver') }
  await createCa(join(directory, 'ca'))
  for (const [identity, target] of Object.entries(credentials)) {
    await createHostCertificate(join(directory, 'ca'), target, { identity, addresses: ['127.0.0.1', identity] })
  }
  return credentials
}

async function versions(tools: Tools | { missing: string }): Promise<Record<string, string>> {
  const known = 'missing' in tools ? {} : tools.versions
  const named = ['socat', 'stunnel4', 'mbuffer', 'openssh-server'].flatMap((name) =>
    known[name] === undefined ? [] : [[name, known[name]]],
  )
  const speed = await promisify(execFile)('openssl', ['version']).then(
    ({ stdout }) => stdout.split(' ')[1] ?? '',
    (error: Error) => `none (${error.message})`,
  )
  return { ...Object.fromEntries(named), 'openssl speed': speed }
}
