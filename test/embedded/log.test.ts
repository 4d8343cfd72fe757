/** Every step of every kind of replication, in the logs of both hosts and in the metrics. */
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Peer, pullVolume, pushVolume, type Rule, replicate, type ThisHost } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { metrics } from '../../src/metrics/index.js'
import { failure } from '../zfs/pool.js'
import { mebibyte } from './cluster.js'
import { useEngine } from './engine.js'
import { type TreePair, withTreePair } from './tree-pair.js'
import { createDisk, replica, snapshotAll, source, write } from './trees.js'

type Line = Record<string, unknown>

/** A logger, and what it was given. */
function recorder() {
  const lines: Line[] = []
  return { lines, logger: pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }) }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What is said of connections, which many transfers share. */
const ofConnections = new Set<unknown>(['connected', 'disconnected', 'a socket failed', 'a TLS handshake failed'])

function checkLines(lines: readonly Line[], self: string, peer: string): void {
  for (const line of lines) {
    if (ofConnections.has(line.msg)) continue
    const text = JSON.stringify(line)
    assert.match(String(line.transferId), uuid, text)
    assert.ok(String(line.dataset).startsWith(`${self}/flocker`), text)
    assert.is(line.peer, peer, text)
  }
}

/** Below the trees, not all that is below those. */
const datasets = ['one', 'app', 'theirs', 'far'].flatMap((name) => [`beta/flocker/${name}`, `beta/flocker/${name}/*`])
const rules: Rule[] = [{ peer: 'alpha', verbs: ['inspect', 'receive', 'send'], datasets }]

/** One volume: there, there again over a wire that breaks, diverged, and back. */
async function oneVolume({ alpha, peer, link }: TreePair): Promise<void> {
  await createDisk('alpha/flocker/one', 64)
  const volume = await alpha.getVolume('one')
  await write(volume.dataset, 8 * 1024)
  let cut = false
  await pushVolume(volume, peer, {
    retry: { attempts: 3, firstMilliseconds: 10 },
    limit: 16 * mebibyte,
    onProgress: ({ bytes }) => {
      if (cut || bytes < 2n * BigInt(mebibyte)) return
      cut = true
      link.drop()
    },
  })
  await lzc.snapshot(['beta/flocker/one@theirs'])
  await write(volume.dataset)
  await pushVolume(volume, peer, { onDivergence: 'preserve' })
  await createDisk('beta/flocker/theirs')
  await pullVolume('theirs', peer)
  assert.is((await failure(pullVolume('missing', peer))).code, 'NOT_AUTHORIZED')
}

/** A tree in which steps of all kinds are taken, and one that is refused. */
async function tree(from: ThisHost | Peer, to: ThisHost | Peer, root: string, copy: string): Promise<void> {
  for (const name of ['a', 'b', 'b/no', 'b/no/disk']) {
    if (name.endsWith('disk')) await createDisk(`${root}/${name}`)
    else await lzc.create(`${root}/${name}`)
  }
  const name = root.slice(root.lastIndexOf('/') + 1)
  await replicate(name, { from, to }, { datasets: { exclude: ['b'] } })
  await snapshotAll(root, 'daily')
  await lzc.clone(`${root}/a@daily`, `${root}/clone`)
  await lzc.rename(`${root}/a`, `${root}/renamed`)
  await lzc.create(`${copy}/orphan`)
  await replicate(name, { from, to })
}

/** What is half there is discarded. */
async function halfThere({ alpha, peer, link }: TreePair): Promise<void> {
  await write(`${source}/disk`, 8 * 1024)
  const onProgress = ({ bytes }: { bytes: bigint }): void => {
    if (bytes > 2n * BigInt(mebibyte)) link.drop()
  }
  const ends = { from: alpha, to: peer }
  const datasets = { include: ['disk'] }
  await replicate('app', ends, { limit: 16 * mebibyte, onProgress, datasets })
  await peer.reconnect()
  await replicate('app', ends, { partial: 'discard', datasets })
}

test('every line says which transfer, dataset and peer it is of, and every step is counted', async () => {
  const logs = { alpha: recorder(), beta: recorder() }
  const registry = new Registry()
  const stop = metrics(registry)
  const loggers = { alpha: logs.alpha.logger, beta: logs.beta.logger }
  await withTreePair({ rules, loggers }, async (pair) => {
    const { alpha, peer } = pair
    await oneVolume(pair)
    await createDisk(`${source}/disk`, 32)
    await tree(alpha, peer, source, replica)
    await halfThere(pair)
    await lzc.create('beta/flocker/far')
    await tree(peer, alpha, 'beta/flocker/far', 'alpha/flocker/far')
  })
  stop()

  checkLines(logs.alpha.lines, 'alpha', 'beta')
  checkLines(logs.beta.lines, 'beta', 'alpha')
  const idsOf = (lines: Line[]) => new Set(lines.flatMap(({ transferId }) => (transferId ? [transferId] : [])))
  const ours = idsOf(logs.alpha.lines)
  assert.equal(
    [...idsOf(logs.beta.lines)].filter((id) => !ours.has(id)),
    [],
    'what one does for the other has the same transfer in both logs',
  )
  const trees = idsOf(logs.alpha.lines.filter(({ step }) => step === 'treePlanned'))
  const streams = logs.alpha.lines.filter(({ tree: of }) => of !== undefined)
  assert.ok(streams.length > 0 && streams.every(({ tree: of }) => trees.has(of as string)))

  const told = [...logs.alpha.lines, ...logs.beta.lines].filter(({ step }) => step !== undefined)
  const names = (lines: Line[]) => [...new Set(lines.flatMap(({ step }) => (step ? [step as string] : [])))].sort()
  assert.equal(names(logs.alpha.lines), everyStep)
  assert.equal(names(logs.beta.lines), ['preserved', 'snapshotTaken', 'streamBegun', 'streamDone', 'streamFailed'])
  const counted = (await registry.getMetricsAsJSON()).find(({ name }) => name === 'flocker_zfs_steps_total')
  const { values } = counted as unknown as { values: { value: number }[] }
  assert.is(
    values.reduce((sum, { value }) => sum + value, 0),
    told.length,
  )
  const kinds = logs.alpha.lines.filter(({ step }) => step === 'stepBegun')
  assert.equal([...new Set(kinds.map(({ kind }) => kind as string))].sort(), everyKind)
  const text = await registry.metrics()
  for (const kind of everyKind) assert.match(text, new RegExp(`tree_steps_total{[^}]*kind="${kind}",outcome="done"`))
  for (const outcome of ['failed', 'left-out']) assert.match(text, `outcome="${outcome}"`)
  assert.match(text, /tree_findings_total{.*kind="orphan"/)
})

const everyKind = ['clone', 'create', 'discard', 'full', 'incremental', 'rename']
const everyStep = [
  ...['done', 'failed', 'found', 'planned', 'preserved', 'retrying', 'snapshotTaken', 'stepBegun', 'stepDone'],
  ...['stepFailed', 'stepLeftOut', 'streamBegun', 'streamDone', 'streamFailed', 'treeDone', 'treePlanned'],
]

test.before(async () => {
  await useEngine()
})

test.run()
