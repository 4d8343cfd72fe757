/** Two real ZFS hosts, a volume pushed from one to the other, changed, pushed again, and compared file by file. */
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { progressView } from '../../src/cli/bar.js'
import { lines } from '../../test/lab/lines.js'
import { Pair } from '../../test/lab/pair.js'
import type { DemoEvent } from './lab-alpha.js'
import { fromEvent, mebibyte, printTable, type Row, say } from './report.js'

export async function labDemo(): Promise<void> {
  say('Booting two hosts, alpha and beta: their own kernels, their own OpenZFS, a cable between them')
  await using pair = await Pair.open({ disk: '2 GiB', memory: '1 GiB' })
  const zfs = (await pair.alpha.run(['zfs', 'version'])).stdout.trim().replaceAll('\n', ', ')
  say(`Both are up, each with a pool (${zfs}); beta runs the agent. Filling a volume on alpha with real files`)
  const rows = await runAlpha(pair)
  say('Mounting the replica on beta, read-only, and comparing the SHA-256 of every file')
  const [source, replica] = await Promise.all([pair.hashes(pair.alpha, '/flocker/files'), pair.replicaHashes('files')])
  if (source !== replica || source === '') throw new Error('The replica is not equal to its source')
  const files = source.trim().split('\n').length
  printTable(rows)
  console.log(`\nEvery file on beta is equal to alpha's: ${files.toLocaleString('en')} SHA-256 hashes compared.`)
}

/** Follows what the program on alpha does, and shows it. */
async function runAlpha(pair: Pair): Promise<Row[]> {
  const program = pair.alpha.spawn(['node', join(__dirname, 'lab-alpha.js'), pair.alpha.pool])
  const errors = text(program.stderr)
  const rows: Row[] = []
  let view = progressView('alpha → beta')
  for await (const line of lines(program)) {
    const event = JSON.parse(line) as DemoEvent
    if (event.event === 'filled') {
      say(
        `${event.files.toLocaleString('en')} files, ${(event.bytes / mebibyte).toFixed(0)} MiB. Pushing them over mutual TLS`,
      )
    } else if (event.event === 'changed') {
      say('Some files were renamed, removed and added. Pushing the increment')
      view = progressView('alpha → beta')
    } else if (event.event === 'progress') {
      view.update(fromEvent(event))
    } else {
      view.end()
      rows.push({ ...event, bytes: BigInt(event.bytes), seconds: event.milliseconds / 1000 })
    }
  }
  const { status, signal } = await program.exit
  if (status !== 0) throw new Error(`The program on alpha ended with ${signal ?? `status ${status}`}:\n${await errors}`)
  return rows
}
