/** SIGKILL of the receiving host in the middle of pushes, again and again: the pool opens, what was there is intact, the push goes on. */
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listSnapshots, readResumeToken } from '../../src/datasets/index.js'
import { type Host, pushVolume, type ReplicationResult, type Volume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { digest, openAlpha, openBeta, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { Link } from './faults/link.js'

const mebibyte = 1024 * 1024
const rounds = Number(process.env.FLOCKER_ZFS_CRASHES ?? 8)
const replica = 'beta/flocker/disk'
const changedMebibytes = 64
/** The pool writes out what has come in some four times on the way, and each time there is more to go on with. */
const bytesPerSecond = 64 * mebibyte
const latestMilliseconds = 1400

async function change(volume: Volume): Promise<void> {
  const bytes = function* (): Generator<Buffer> {
    for (let i = 0; i < changedMebibytes; i++) yield randomBytes(mebibyte)
  }
  await pipeline(bytes, volume.writable())
}

/** Hashes of the source's snapshots, by the part of their names after the `@`. */
class Hashes {
  readonly #known = new Map<string, string>()

  async remember(dataset: string): Promise<void> {
    for await (const { name } of listSnapshots(dataset)) {
      if (!this.#known.has(shortOf(name))) this.#known.set(shortOf(name), await digest({ dataset: name }))
    }
  }

  async check(snapshot: string): Promise<void> {
    assert.is(await digest({ dataset: snapshot }), this.#known.get(shortOf(snapshot)), snapshot)
  }
}

const shortOf = (snapshot: string): string => snapshot.slice(snapshot.indexOf('@') + 1)

async function isHeld(snapshot: string): Promise<boolean> {
  return Object.keys(await lzc.getHolds(snapshot)).length > 0
}

/** Destroys all but the newest snapshot and those that are held. */
async function prune(dataset: string): Promise<{ newest: string; held: string[] }> {
  const names: string[] = []
  for await (const { name } of listSnapshots(dataset)) names.push(name)
  const newest = names.pop() as string
  const held: string[] = []
  for (const name of names) {
    if (await isHeld(name)) held.push(name)
    else await lzc.destroySnapshots([name])
  }
  return { newest, held }
}

/**
 * What beta has after its power was cut: its newest snapshot, which must be what was sent, older ones that are held (where the cut came after
 * the stream and before its hold had moved), and whether there is a part of another.
 */
async function lookAt(
  directory: string,
  hashes: Hashes,
): Promise<{ newest: string; held: string[]; partial: boolean }> {
  await using _ = await openBeta(directory)
  const { newest, held } = await prune(replica)
  await hashes.check(newest)
  return { newest: shortOf(newest), held, partial: (await readResumeToken(replica)) !== undefined }
}

class Totals {
  killed = 0
  parts = 0
  resumed = 0
  completed = 0
}

/** When a push is to be cut: at any time, or when so many bytes of its stream are on their way. */
type Cut = { afterMilliseconds: number } | { afterBytes: number }

/** Every other one in the middle of the stream, however slow the machine is. */
function chooseCut(round: number): Cut {
  if (round % 2 === 1) return { afterMilliseconds: Math.random() * latestMilliseconds }
  return { afterBytes: (0.3 + 0.6 * Math.random()) * changedMebibytes * mebibyte }
}

async function round(
  directory: string,
  alpha: Host,
  volume: Volume,
  link: Link,
  totals: Totals,
  cut: Cut,
): Promise<void> {
  await using agent = await startBeta(directory)
  link.target = agent.port
  const peer = await alpha.connect(`127.0.0.1:${link.port}`)
  const far = new EventEmitter()
  const onProgress = ({ bytes }: { bytes: bigint }): void => {
    if ('afterBytes' in cut && bytes >= cut.afterBytes) far.emit('enough')
  }
  const enough = once(far, 'enough')
  const pushing = pushVolume(volume, peer, { onProgress }).then(
    (result): ReplicationResult => result,
    (error: { code: string }) => error,
  )
  await ('afterBytes' in cut ? Promise.race([enough, pushing]) : wait(cut.afterMilliseconds))
  await agent.end('SIGKILL')
  const outcome = await pushing
  await peer.close()
  totals.killed++
  if ('kind' in outcome) totals.completed++
  else assert.ok(['PEER_LOST', 'GARBLED'].includes(outcome.code), outcome.code)
}

async function pushInPeace(directory: string, alpha: Host, volume: Volume): Promise<ReplicationResult> {
  await using agent = await startBeta(directory)
  await using peer = await alpha.connect(`127.0.0.1:${agent.port}`)
  const result = await pushVolume(volume, peer)
  assert.is(await agent.end('SIGTERM'), 'status 0')
  return result
}

test(`killed ${rounds} times in a push`, () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 80 * mebibyte })
    const hashes = new Hashes()
    const totals = new Totals()
    await change(volume)
    await pushInPeace(directory, alpha, volume)
    await using link = await Link.listen(0)
    link.bytesPerSecond = bytesPerSecond
    for (let i = 1; i <= rounds; i++) {
      await change(volume)
      await round(directory, alpha, volume, link, totals, chooseCut(i))
      await hashes.remember(volume.dataset)
      const { partial } = await lookAt(directory, hashes)
      if (partial) totals.parts++
      if (i % 4 !== 0) continue
      const result = await pushInPeace(directory, alpha, volume)
      assert.is(result.resumed !== undefined, partial, 'a part is gone on with')
      if (partial) totals.resumed++
      await hashes.remember(volume.dataset)
      const { newest, held } = await lookAt(directory, hashes)
      assert.is(newest, shortOf(result.snapshot))
      assert.equal(held, [], 'a push in peace moves the hold')
      await prune(volume.dataset)
    }
    console.log(`measured: ${JSON.stringify(totals)}`)
    assert.ok(totals.resumed > 0, 'no push went on with anything')
  }))

test.before(async () => {
  await useEngine()
})

test.run()
