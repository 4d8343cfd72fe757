/** Pulls from a peer in another process: the same as pushes, from the other end. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties, listBookmarks, readResumeToken } from '../../src/datasets/index.js'
import { type Host, type Peer, type Progress, pullVolume, type ReplicationOptions } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { snapshotName } from '../../src/replication/index.js'
import { failure } from '../zfs/pool.js'
import { type Agent, digest, fill, mebibyte, openAlpha, openBeta, snapshotsOf, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { Link } from './faults/link.js'

const replica = 'alpha/flocker/disk'
const source = 'beta/flocker/disk'

/** Changes the source while no agent has it; its hash. */
async function changeSource(directory: string, start: number, mebibytes: number): Promise<string> {
  await using beta = await openBeta(directory)
  const volume = (await lzc.exists(source))
    ? await beta.getVolume('disk')
    : await beta.createVolume('disk', { size: 128 * mebibyte })
  await fill(volume, start, mebibytes)
  return await digest(volume)
}

async function pull(alpha: Host, agent: Agent, options: ReplicationOptions = {}) {
  await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
  return await pullVolume('disk', beta, options)
}

/** What a pull that is interrupted after some MiB ends with. */
async function interrupted(alpha: Host, agent: Agent, interrupt: (peer: Peer) => void, options: ReplicationOptions) {
  await using peer = await alpha.connect(`127.0.0.1:${agent.port}`)
  let done = false
  const onProgress = ({ bytes }: Progress): void => {
    if (bytes < 24n * BigInt(mebibyte) || done) return
    done = true
    interrupt(peer)
  }
  return await failure(pullVolume('disk', peer, { limit: 96 * mebibyte, ...options, onProgress }))
}

/** The marks and cursors on the source: none pending, one cursor of alpha's at this snapshot. */
async function checkSource(directory: string, guid: bigint, snapshots: number): Promise<void> {
  await using _ = await openBeta(directory)
  const names = await snapshotsOf(source)
  assert.is(names.length, snapshots)
  for (const name of names) {
    assert.not('flocker-zfs:pending' in (await getProperties(name)), name)
    assert.equal(Object.keys(await lzc.getHolds(name)), [])
  }
  const cursors: bigint[] = []
  for await (const bookmark of listBookmarks(source)) cursors.push(bookmark.guid)
  assert.equal(cursors, [guid])
}

test('full, incremental, unchanged', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await changeSource(directory, 0, 24)
    let guid: bigint
    {
      await using agent = await startBeta(directory)
      const full = await pull(alpha, agent)
      assert.is(full.kind, 'full')
      assert.match(full.snapshot, /^beta\/flocker\/disk@flocker-/)
      const same = await pull(alpha, agent, { snapshot: full.snapshot.split('@')[1] as string })
      assert.equal([same.kind, same.bytes], ['current', 0n])
      assert.is(await agent.end('SIGTERM'), 'status 0')
      await checkSource(directory, full.guid, 1)
    }
    const hash = await changeSource(directory, 4, 2)
    {
      await using agent = await startBeta(directory)
      const increment = await pull(alpha, agent)
      assert.is(increment.kind, 'incremental')
      assert.ok(increment.bytes < 4n * BigInt(mebibyte), `${increment.bytes}`)
      guid = increment.guid
      assert.is(await agent.end('SIGTERM'), 'status 0')
    }
    assert.is(await digest({ dataset: replica }), hash)
    await checkSource(directory, guid, 2)
  }))

test('goes on after a break, takes back what an abort leaves, and needs the right to it', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const hash = await changeSource(directory, 0, 96)
    await using agent = await startBeta(directory)

    const aborted = new AbortController()
    const abort = () => aborted.abort()
    assert.is((await interrupted(alpha, agent, abort, { signal: aborted.signal })).code, 'ABORTED')
    assert.not(await lzc.exists(replica))

    assert.is((await interrupted(alpha, agent, (peer) => void peer.close(), {})).code, 'ABORTED')
    assert.type(await readResumeToken(replica), 'string')
    const rest = await pull(alpha, agent)
    assert.ok(rest.resumed && rest.resumed.kept > 8n * BigInt(mebibyte), JSON.stringify(rest.resumed?.kept.toString()))
    assert.is(await readResumeToken(replica), undefined)
    assert.is(await digest({ dataset: replica }), hash)

    await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
    assert.is((await failure(pullVolume('missing', beta))).code, 'NOT_FOUND')
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkSource(directory, rest.guid, 2)
  }))

test('a data connection that does not come about ends the pull, and not the process', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const hash = await changeSource(directory, 0, 2)
    await using agent = await startBeta(directory)
    await using link = await Link.listen(agent.port)
    const strike = (record: Buffer): Buffer => {
      const garbled = Buffer.from(record)
      garbled[record.length - 1] = (record.at(-1) as number) ^ 1
      return garbled
    }
    // The client's last word of the handshake.
    link.begin({ spot: { connection: 1, direction: 'there', record: 2, part: 0 }, strike })
    await using beta = await alpha.connect(`127.0.0.1:${link.port}`)
    // Its alert may be overtaken by the reset of the connection.
    assert.ok(['GARBLED', 'PEER_LOST'].includes((await failure(pullVolume('disk', beta))).code))
    await pullVolume('disk', beta)
    assert.is(await digest({ dataset: replica }), hash)
  }))

test('a snapshot that an earlier pull had made, and that did not arrive, can be named', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await changeSource(directory, 0, 1)
    const wanted = snapshotName(new Date())
    {
      await using _ = await openBeta(directory)
      await lzc.snapshot(`${source}@${wanted}`, { 'flocker-zfs:pending': 'alpha' })
    }
    let guid: bigint
    {
      await using agent = await startBeta(directory)
      const pulled = await pull(alpha, agent, { snapshot: wanted })
      assert.is(pulled.snapshot, `${source}@${wanted}`)
      guid = pulled.guid
      await agent.end('SIGTERM')
    }
    await checkSource(directory, guid, 1)
  }))

test('keeps to a limit', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const hash = await changeSource(directory, 0, 8)
    await using agent = await startBeta(directory)
    const limited = await pull(alpha, agent, { limit: 4 * mebibyte })
    assert.ok(limited.milliseconds > 1800, `${limited.bytes} bytes in ${limited.milliseconds} ms`)
    assert.is(await digest({ dataset: replica }), hash)
  }))

test.before(async () => {
  await useEngine()
})

test.run()
