/**
 * Two processes, each with a pool of its own in a file, and mutual TLS between them: a volume is pushed, changed, pushed again; that
 * push is killed half-way, goes on from there, and both ends are compared.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { progressView } from '../../src/cli/bar.js'
import { openHost } from '../../src/index.js'
import { type Agent, digest, equip, startBeta } from '../../test/embedded/cluster.js'
import type { EmbeddedEvent } from './embedded-alpha.js'
import { fromEvent, mebibyte, printTable, type Row, say, secondsSoFar } from './report.js'

export async function embeddedDemo(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-demo-'))
  try {
    await show(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function show(directory: string): Promise<void> {
  await equip(directory)
  say('No kernel module and no root: alpha and beta are two processes, each with an OpenZFS pool in a file')
  await using agent = await startBeta(directory)
  say(`beta's agent listens on 127.0.0.1:${agent.port}, for peers that show a certificate. alpha fills a volume`)
  const rows: Row[] = []
  await runAlpha({ directory, agent, rows }, 'full')

  say('alpha overwrites a part of the volume with other files, and pushes the increment, until ...')
  await runAlpha({ directory, agent, rows }, 'change', 0.5)
  say('... alpha was killed half-way. It starts anew, opens its pool, and pushes again: the rest is sent')
  await runAlpha({ directory, agent, rows }, 'again')

  await agent.end('SIGTERM')
  say("Both ends are shut down; reading all of the volume, and of beta's replica")
  const [source, replica] = [await sha256(directory, 'a', 'alpha'), await sha256(directory, 'b', 'beta')]
  if (source !== replica) throw new Error(`The replica (${replica}) is not equal to its source (${source})`)
  printTable(rows)
  console.log(`\nSHA-256 of alpha's volume and of beta's replica: ${source}`)
  console.log(
    `All of this took ${secondsSoFar().toFixed(0)} s. Two ZFS hosts with kernels of their own: npm run demo -- --lab`,
  )
}

interface Stage {
  directory: string
  agent: Agent
  rows: Row[]
}

const volumeName = 'archive'

/** Runs alpha's process and shows what it says; kills it where that share of the stream has gone. */
async function runAlpha(
  { directory, agent, rows }: Stage,
  what: string,
  killAt = Number.POSITIVE_INFINITY,
): Promise<void> {
  const program = join(__dirname, 'embedded-alpha.js')
  const child = spawn(process.execPath, [program, directory, String(agent.port), volumeName, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let view = progressView('alpha → beta')
  let snapshot = ''
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as EmbeddedEvent
    if (event.event === 'filled') {
      say(
        `${(event.bytes / mebibyte).toFixed(0)} MiB of a tar archive written in ${event.seconds.toFixed(1)} s. Pushing`,
      )
    } else if (event.event === 'progress') {
      const progress = fromEvent(event)
      // The increment that follows the rest is next to nothing.
      if (progress.total < mebibyte) continue
      if (snapshot !== '' && progress.snapshot !== snapshot) {
        view.end()
        view = progressView('alpha → beta')
      }
      snapshot = progress.snapshot
      view.update(progress)
      if (Number(progress.bytes) > Number(progress.total) * killAt) child.kill('SIGKILL')
    } else {
      rows.push(rowOf(event))
    }
  }
  view.end()
  const [status, signal] = await ended
  if (status !== 0 && killAt > 1) throw new Error(`alpha ended with ${signal ?? `status ${status}`}`)
}

type Pushed = Extract<EmbeddedEvent, { event: 'pushed' }>

function rowOf({ kind, bytes, kept, milliseconds, guid }: Pushed): Row {
  const row = { bytes: BigInt(bytes), seconds: milliseconds / 1000, guid }
  if (kept === '0') return { kind, ...row }
  return { kind: 'the rest', ...row, note: `${(Number(kept) / mebibyte).toFixed(1)} MiB were there` }
}

async function sha256(directory: string, name: string, pool: string): Promise<string> {
  await using host = await openHost({ embedded: join(directory, name), pool, credentials: join(directory, pool) })
  return await digest(await host.getVolume(volumeName))
}
