/** `flocker-zfs move`: an application goes to another host, with its volume and its clients. */
import { Command } from 'commander'
import { type RequestedMove, requestMove } from '../containers/index.js'
import { formatBytes, type Peer } from '../replication/index.js'
import { bigintAsText } from './json.js'
import { type HostFlags, parseCount, withHostFlags } from './options.js'
import { withPeer } from './session.js'

interface MoveFlags extends HostFlags {
  from: string
  image?: 'stream' | 'pull' | 'require'
  holdSeconds?: number
  readySeconds?: number
  json?: boolean
}

export function moveCommand(): Command {
  return withHostFlags(new Command('move'))
    .description('Move an application to another host, with its volume; its clients wait a moment')
    .argument('<name>', 'of the application')
    .argument('<identity>', 'of the host that is to run it, one of the peers of the host that does')
    .requiredOption('--from <host>', 'the agent of the host that runs it: HOST or HOST:PORT')
    .option('--image <how>', 'where the image is missing there: stream (default), pull or require')
    .option('--hold-seconds <seconds>', 'how long clients may wait before they are refused (default: 60)', parseCount)
    .option('--ready-seconds <seconds>', 'how long it may take to be ready there (default: 60)', parseCount)
    .option('--json', 'print JSON')
    .action(run)
}

async function run(name: string, to: string, flags: MoveFlags): Promise<void> {
  const { from, image, holdSeconds, readySeconds, json } = flags
  await withPeer(flags, from, async (_, peer: Peer, signal) => {
    const moved = await requestMove(name, peer, to, {
      signal,
      onPhase: (phase) => process.stderr.isTTY && process.stderr.write(`${phase} ... `),
      ...(image === undefined ? {} : { image }),
      ...(holdSeconds === undefined ? {} : { holdMilliseconds: holdSeconds * 1000 }),
      ...(readySeconds === undefined ? {} : { readyMilliseconds: readySeconds * 1000 }),
    })
    if (process.stderr.isTTY) process.stderr.write('\n')
    console.log(json ? JSON.stringify(moved, bigintAsText) : describe(name, to, moved))
  })
}

function describe(name: string, to: string, moved: RequestedMove): string {
  const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`
  const phases = Object.entries(moved.phases)
    .filter(([, milliseconds]) => milliseconds >= 50)
    .map(([phase, milliseconds]) => `${phase} ${seconds(milliseconds)}`)
  return (
    `${to} runs ${name}; its clients waited ${seconds(moved.pauseMilliseconds)} of ${seconds(moved.milliseconds)} ` +
    `(${phases.join(', ')}), ${formatBytes(moved.bytes + moved.imageBytes)} sent`
  )
}
