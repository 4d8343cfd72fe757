/** `flocker-zfs bench`: what bounds a push to a peer. */
import { Command } from 'commander'
import {
  formatBytes,
  type Load,
  type MeasureStage,
  measurePath,
  type Pace,
  type PathReport,
  rateOf,
} from '../replication/index.js'
import { bigintAsText } from './json.js'
import { type HostFlags, parseCount, withHostFlags } from './options.js'
import { withPeer } from './session.js'

interface BenchFlags extends HostFlags {
  volume?: string
  seconds: number
  json?: boolean
}

const stages: Record<MeasureStage, string> = {
  cipher: 'the cipher',
  source: 'the pool here',
  wire: 'the wire',
  whole: 'the whole path',
}

export function benchCommand(): Command {
  return withHostFlags(new Command('bench'))
    .description('Measure pool, processors, network and the whole path to a peer, and say which one bounds a push')
    .argument('<host>', 'the peer: HOST or HOST:PORT; it must allow `receive` below its root')
    .option('--volume <name>', 'the volume whose newest snapshot is sent (default: the one with the most data)')
    .option('--seconds <n>', 'for each of three stages, at most', parseCount, 10)
    .option('--json', 'print JSON')
    .action(run)
}

async function run(address: string, flags: BenchFlags): Promise<void> {
  const { volume, seconds, json } = flags
  await withPeer(flags, address, async (_, peer, signal) => {
    const report = await measurePath(peer, {
      ...(volume === undefined ? {} : { volume }),
      milliseconds: seconds * 1000,
      signal,
      onStage: (stage) => console.error(`measuring ${stages[stage]}`),
    })
    console.log(json ? JSON.stringify(report, bigintAsText) : describe(report))
  })
}

/** Prints a report for people. */
function describe({ peer, snapshot, cipher, source, wire, whole, bottleneck, why }: PathReport): string {
  const rows = [
    ['', 'rate', 'moved', 'busy here', `busy on ${peer}`],
    ['cipher, one core here', perSecond(cipher.here), '', '', ''],
    [`cipher, one core on ${peer}`, perSecond(cipher.there), '', '', ''],
    ['pool here, to nowhere', ...paceCells(source), loadCell(source.here), ''],
    ['wire, zeros to nowhere', ...paceCells(wire), loadCell(wire.here), loadCell(wire.there)],
    ['whole path, received', ...paceCells(whole), loadCell(whole.here), loadCell(whole.there)],
  ]
  const widths = (rows[0] as string[]).map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)))
  const lines = rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join('   '),
  )
  const verdict = bottleneck === 'nothing' ? why : `The bottleneck: ${bottleneck}. ${why}`
  return [`${snapshot} to ${peer}`, '', ...lines, '', verdict].join('\n')
}

const perSecond = (bytes: bigint): string => `${formatBytes(bytes)}/s`

function paceCells(pace: Pace): [string, string] {
  return [
    perSecond(BigInt(Math.round(rateOf(pace)))),
    `${formatBytes(pace.bytes)} in ${(pace.milliseconds / 1000).toFixed(1)} s`,
  ]
}

/** This process by cores, everybody by the whole machine. */
function loadCell({ process, machine, cores }: Load): string {
  return `${process.toFixed(1)} of ${cores} cores, all ${(machine * 100).toFixed(0)} %`
}
