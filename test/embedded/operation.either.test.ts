/** Retries, hooks, status and pruning, between two processes with pools in files. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Logger, pino } from 'pino'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readResumeToken } from '../../src/datasets/index.js'
import {
  createHostCertificate,
  type FlockerError,
  type Host,
  openHost,
  type Peer,
  pullVolume,
  pushVolume,
  type ReplicationOptions,
  type ReplicationStep,
  type Retry,
  type Rule,
  replicate,
  type Server,
  type SnapshotHooks,
  type Volume,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { Agent, digest, equip, fill, mebibyte, openAlpha, openBeta, push, snapshotsOf, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { Link } from './faults/link.js'
import { createDisk, write } from './trees.js'

const run = promisify(execFile)
const program = join(__dirname, '../../src/cli/main.js')
const retry = { attempts: 20, firstMilliseconds: 50, mostMilliseconds: 1000 }

/** Beta's agent again, where it was before. */
function restartBeta(directory: string, port: number, credentials = 'beta'): Promise<Agent> {
  const identity = ['--credentials', credentials, '--authorize', 'rules.json']
  return Agent.start(directory, ['--embedded', 'b', '--pool', 'beta', '--port', String(port), ...identity])
}

/** So slow that progress is told of in the middle of 96 MiB. */
const slow = { limit: 96 * mebibyte }

/** Does something once so many MiB of a replication have gone. */
function after(mebibytes: number, act: () => void): Pick<ReplicationOptions, 'onProgress' | 'limit'> {
  let done = false
  return {
    ...slow,
    onProgress: ({ bytes }) => {
      if (done || bytes < BigInt(mebibytes * mebibyte)) return
      done = true
      act()
    },
  }
}

test('a push outlives its receiver, which is killed and started again', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 128 * mebibyte })
    await fill(volume, 0, 96)
    await using first = await startBeta(directory)
    await using peer = await alpha.connect(`127.0.0.1:${first.port}`)
    const told: Retry[] = []
    const steps: ReplicationStep['step'][] = []
    let second: Promise<Agent> | undefined
    const pushed = await pushVolume(volume, peer, {
      retry,
      onRetry: (each) => told.push(each),
      onStep: ({ step }) => steps.push(step),
      ...after(48, () => {
        second = first.end('SIGKILL').then(() => restartBeta(directory, first.port))
      }),
    })
    await using agent = (await second) as Agent
    assert.ok(pushed.retries > 0)
    assert.is(pushed.retries, told.length)
    const [{ error }] = told as [Retry]
    assert.is((error as FlockerError).code, 'PEER_LOST')
    assert.ok(told.every(({ waitMilliseconds }) => waitMilliseconds >= 25 && waitMilliseconds <= 1000))
    assert.is(steps.filter((step) => step === 'retrying').length, told.length)
    assert.is(steps.at(-1), 'done')
    assert.ok(
      (await peer.preserveReplica('missing').catch((error) => error.code)) === 'NOT_FOUND',
      'the peer is usable',
    )
    assert.is(await agent.end('SIGTERM'), 'status 0')
    assert.equal(Object.keys(await lzc.getHolds(pushed.snapshot)), [])
    await using beta = await openBeta(directory)
    assert.is(await digest(await beta.getVolume('disk')), await digest(volume))
  }))

test('a pull outlives cables that are cut, and its source, which is killed and started again', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    let hash: string
    {
      await using beta = await openBeta(directory)
      const volume = await beta.createVolume('disk', { size: 128 * mebibyte })
      await fill(volume, 0, 96)
      hash = await digest(volume)
    }
    await using first = await startBeta(directory)
    await using link = await Link.listen(first.port)
    await using peer = await alpha.connect(`127.0.0.1:${link.port}`)
    const codes: string[] = []
    let second: Promise<Agent> | undefined
    const cuts = [16, 32]
    const pulled = await pullVolume('disk', peer, {
      retry,
      ...slow,
      onRetry: ({ error }) => codes.push((error as FlockerError).code),
      onProgress: ({ bytes }) => {
        const mebibytes = Number(bytes) / mebibyte
        if (cuts[0] !== undefined && mebibytes > cuts[0]) {
          cuts.shift()
          link.drop()
        } else if (second === undefined && mebibytes > 60) {
          second = first.end('SIGKILL').then(async () => {
            const agent = await startBeta(directory)
            link.target = agent.port
            return agent
          })
        }
      },
    })
    await using agent = (await second) as Agent
    assert.ok(pulled.retries >= 3, codes.join())
    // What was under way when the source was killed may have been the whole rest.
    assert.ok(pulled.kind === 'current' || (pulled.resumed !== undefined && pulled.resumed.kept > 0n), pulled.kind)
    assert.is(await digest({ dataset: 'alpha/flocker/disk' }), hash)
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await using beta = await openBeta(directory)
    const { peers, stale } = await beta.status('disk', { staleMilliseconds: 0 })
    assert.equal([stale, peers[0]?.holds, peers[0]?.pending], [[], [], []])
    assert.is(peers[0]?.common?.guid, pulled.guid)
  }))

test('an abort between two attempts takes back what has arrived, or keeps it where the caller says so', () =>
  withBoth(async ({ beta, server, alpha, volume }) => {
    await fill(volume, 0, 96)
    await using link = await Link.listen(server.port)
    await using peer = await alpha.connect(`127.0.0.1:${link.port}`)
    const attempt = (onAbort: 'discard' | 'keep') => {
      const stop = new AbortController()
      return failure(
        pushVolume(volume, peer, {
          signal: stop.signal,
          onAbort,
          retry: { attempts: 3, firstMilliseconds: 60_000 },
          onRetry: () => stop.abort(),
          ...after(32, () => link.drop()),
        }),
      )
    }
    assert.is((await attempt('discard')).code, 'ABORTED')
    assert.equal(await snapshotsOf(volume.dataset), [])
    assert.is((await failure(beta.status('disk'))).code, 'NOT_FOUND')

    await peer.reconnect()
    assert.is((await attempt('keep')).code, 'ABORTED')
    const [snapshot] = await snapshotsOf(volume.dataset)
    assert.is((await beta.status('disk')).partial?.decoded?.toname, snapshot)
    await peer.reconnect()
    assert.is((await pushVolume(volume, peer)).resumed?.snapshot, snapshot)
  }))

test('what is not transient is told at once; so is an abort between attempts', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 16 * mebibyte })
    await using agent = await startBeta(directory)
    await using peer = await alpha.connect(`127.0.0.1:${agent.port}`)
    const told: Retry[] = []
    const onRetry = (each: Retry) => void told.push(each)
    assert.is((await failure(pullVolume('missing', peer, { retry, onRetry }))).code, 'NOT_FOUND')
    assert.is((await failure(pushVolume(volume, peer, { retry: { attempts: -1 } }))).code, 'INVALID_ARGUMENT')
    assert.is(told.length, 0)

    await agent.end('SIGKILL')
    const few = { attempts: 2, firstMilliseconds: 10 }
    assert.is((await failure(pushVolume(volume, peer, { retry: few, onRetry }))).code, 'PEER_UNREACHABLE')
    assert.is(told.length, 2)
    const stop = new AbortController()
    const slow = { attempts: 2, firstMilliseconds: 60_000 }
    const aborted = pushVolume(volume, peer, { retry: slow, signal: stop.signal, onRetry: () => stop.abort() })
    assert.is((await failure(aborted)).code, 'ABORTED')
    assert.equal(await snapshotsOf(volume.dataset), [])
    await peer.close()
    assert.is((await failure(peer.reconnect())).code, 'ABORTED')
  }))

test('a peer is connected to again only if it is the same', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const addresses = ['127.0.0.1']
    await createHostCertificate(join(directory, 'ca'), join(directory, 'gamma'), { identity: 'gamma', addresses })
    await using first = await startBeta(directory)
    await using peer = await alpha.connect(`127.0.0.1:${first.port}`)
    await peer.reconnect()
    await first.end('SIGKILL')
    await peer.closed
    {
      await using other = await restartBeta(directory, first.port, 'gamma')
      assert.is((await failure(peer.reconnect())).code, 'TLS_FAILED')
      assert.is(await other.end('SIGTERM'), 'status 0')
    }
    await using again = await restartBeta(directory, first.port)
    await Promise.all([peer.reconnect(), peer.reconnect()])
    assert.is(peer.identity, 'beta')
    assert.is(await again.end('SIGTERM'), 'status 0')
  }))

/** Both hosts in this process, with a volume on alpha. */
async function withBoth(
  use: (parts: {
    directory: string
    alpha: Host
    beta: Host
    server: Server
    peer: Peer
    volume: Volume
  }) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await using beta = await openBeta(directory)
    const server = await beta.listen({
      port: 0,
      address: '127.0.0.1',
      authorize: [{ peer: 'alpha', verbs: ['inspect', 'receive', 'send'], datasets: ['beta/flocker/**'] }],
    })
    await using peer = await alpha.connect(`127.0.0.1:${server.port}`)
    const volume = await alpha.createVolume('disk', { size: 128 * mebibyte })
    await fill(volume, 0, 8)
    await use({ directory, alpha, beta, server, peer, volume })
  })
}

test('the application is quiet while the snapshot is taken, and never for longer', () =>
  withBoth(async ({ volume, peer }) => {
    const log: string[] = []
    const hooks: ReplicationOptions = {
      beforeSnapshot: async () => void log.push(`before, ${(await snapshotsOf(volume.dataset)).length}`),
      afterSnapshot: async ({ snapshot }) => {
        const [name] = await snapshotsOf(volume.dataset)
        assert.is(name, `${volume.dataset}@${snapshot}`)
        log.push('after')
      },
      onStep: ({ step }) => {
        log.push(step)
        throw new Error('what a listener throws has no effect')
      },
    }
    await pushVolume(volume, peer, hooks)
    assert.equal(log, ['planned', 'before, 0', 'after', 'snapshotTaken', 'streamBegun', 'streamDone', 'done'])

    const stop = new AbortController()
    let quiet = false
    const aborted = pushVolume(volume, peer, {
      signal: stop.signal,
      beforeSnapshot: () => {
        quiet = true
        stop.abort()
      },
      afterSnapshot: () => {
        quiet = false
      },
    })
    assert.is((await failure(aborted)).code, 'ABORTED')
    assert.not(quiet)
    const stuck = pushVolume(volume, peer, { afterSnapshot: () => Promise.reject(new Error('it does not go on')) })
    assert.is((await failure(stuck)).code, 'HOOK_FAILED')
    assert.is((await snapshotsOf(volume.dataset)).length, 1, 'the snapshot was taken back')
  }))

test('the hooks are called once for the snapshots of a whole tree', () =>
  withBoth(async ({ alpha, peer }) => {
    await lzc.create('alpha/flocker/app')
    for (const name of ['a', 'b']) await createDisk(`alpha/flocker/app/${name}`)
    const log: string[] = []
    const hooks: SnapshotHooks = {
      beforeSnapshot: ({ volume, peer: to }) => void log.push(`before ${volume} to ${to}`),
      afterSnapshot: async ({ snapshot }) => {
        for (const name of ['a', 'b']) assert.ok(await lzc.exists(`alpha/flocker/app/${name}@${snapshot}`))
        log.push('after')
      },
    }
    const { done, failed } = await replicate('app', { from: alpha, to: peer }, hooks)
    assert.equal([done, failed, log], [3, 0, ['before app to beta', 'after']])
    const stuck = { afterSnapshot: () => Promise.reject(new Error('it does not go on')) }
    await write('alpha/flocker/app/a')
    assert.is((await failure(replicate('app', { from: alpha, to: peer }, stuck))).code, 'HOOK_FAILED')
    assert.is((await snapshotsOf('alpha/flocker/app/a')).length, 1, 'the snapshots were taken back')
  }))

/** A logger, and what it was given. */
function recorder(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  return { logger: pino({}, { write: (line) => lines.push(JSON.parse(line)) }), lines }
}

test('both logs say of every step which transfer, dataset and peer it is of', () =>
  withDirectory(async (directory) => {
    await equip(directory)
    const [ours, theirs] = [recorder(), recorder()]
    const open = (name: string, pool: string, { logger }: { logger: Logger }) =>
      openHost({ embedded: join(directory, name), pool, credentials: join(directory, pool), logger })
    await using alpha = await open('a', 'alpha', ours)
    await using beta = await open('b', 'beta', theirs)
    const authorize: Rule[] = [{ peer: 'alpha', verbs: ['inspect', 'receive', 'send'], datasets: ['beta/flocker/**'] }]
    const server = await beta.listen({ port: 0, address: '127.0.0.1', authorize })
    await using peer = await alpha.connect(`127.0.0.1:${server.port}`)
    await pushVolume(await alpha.createVolume('there', { size: mebibyte }), peer)
    await beta.createVolume('here', { size: mebibyte })
    await pullVolume('here', peer)
    const stepsOf = (lines: Record<string, unknown>[], dataset: string) => {
      const steps = lines.filter((line) => line.step !== undefined && line.dataset === dataset)
      assert.is(new Set(steps.map(({ transferId }) => transferId)).size, 1)
      return steps.map(({ step }) => step)
    }
    const whole = ['planned', 'snapshotTaken', 'streamBegun', 'streamDone', 'done']
    assert.equal(stepsOf(ours.lines, 'alpha/flocker/there'), whole)
    assert.equal(stepsOf(ours.lines, 'alpha/flocker/here'), whole)
    assert.equal(stepsOf(theirs.lines, 'beta/flocker/there'), ['streamBegun', 'streamDone'])
    assert.equal(stepsOf(theirs.lines, 'beta/flocker/here'), ['snapshotTaken', 'streamBegun', 'streamDone'])
    for (const line of [...ours.lines, ...theirs.lines]) {
      if (line.dataset !== undefined) assert.type(line.peer, 'string', JSON.stringify(line))
    }
    assert.ok(theirs.lines.some(({ msg }) => msg === 'moved the cursor'))
  }))

test('the status tells what both have, how far the peer is behind, and what is on its way', () =>
  withBoth(async ({ alpha, beta, peer, volume }) => {
    assert.is((await failure(alpha.status('missing'))).code, 'NOT_FOUND')
    assert.equal(await alpha.statuses(), [])
    const pushed = await pushVolume(volume, peer)
    const at = await alpha.status('disk')
    assert.equal(at.stale, [])
    assert.is(at.newest?.guid, pushed.guid)
    const [to] = at.peers
    assert.is(to?.peer, 'beta')
    assert.is(to?.common?.guid, pushed.guid)
    assert.equal(
      to?.cursors.map(({ guid }) => guid),
      [pushed.guid],
    )
    assert.equal([to?.holds, to?.pending, to?.there], [[], [], undefined])
    const before = to?.lag?.bytes ?? -1n
    assert.ok(before >= 0n && before < BigInt(mebibyte), `${before}`)
    await fill(volume, 8, 8)
    await volume.flush()
    await lzc.snapshot(`${volume.dataset}@mine`)
    await fill(volume, 16, 4)
    await volume.flush()
    const behind = (await alpha.status('disk')).peers[0]?.lag
    assert.ok(behind?.bytes !== undefined && behind.bytes > 12n * BigInt(mebibyte), `${behind?.bytes}`)
    assert.ok(behind.milliseconds > 0 && behind.milliseconds < 600_000)

    const here = await beta.status('disk')
    assert.equal(here.peers, [])
    assert.equal(
      here.received.map((each) => [each.peer, each.snapshot.guid]),
      [['alpha', pushed.guid]],
    )
    assert.is(here.partial, undefined)
    const [both] = (await alpha.status('disk', { peer })).peers
    assert.is(both?.common?.guid, pushed.guid)
    assert.equal([both?.there?.exists, both?.there?.newest?.guid], [true, pushed.guid])
    assert.equal(
      (await alpha.statuses()).map((each) => each.volume),
      ['disk'],
    )
  }))

/** Breaks a push off in the middle, so that both sides have something of it. */
async function interrupt(alpha: Host, server: Server, volume: Volume): Promise<string> {
  await fill(volume, 0, 96)
  const other = await alpha.connect(`127.0.0.1:${server.port}`)
  const broken = pushVolume(
    volume,
    other,
    after(48, () => void other.close()),
  )
  assert.is((await failure(broken)).code, 'ABORTED')
  const snapshot = (await snapshotsOf(volume.dataset)).at(-1) as string
  assert.ok('flocker:to:beta' in (await lzc.getHolds(snapshot)))
  return snapshot
}

test('what is stale is found, explained, and removed on request, and nothing of others is', () =>
  withBoth(async ({ alpha, beta, server, peer, volume }) => {
    const first = await pushVolume(volume, peer)
    // Times are in seconds.
    await wait(1000)
    const snapshot = await interrupt(alpha, server, volume)
    const replica = 'beta/flocker/disk'
    await lzc.hold({ [snapshot]: 'backup' })
    assert.type(await readResumeToken(replica), 'string')

    const now = await alpha.status('disk')
    assert.equal(now.stale, [], 'the next push goes on with it')
    assert.equal(
      now.peers[0]?.holds.map(({ tag }) => tag),
      ['flocker:to:beta'],
    )
    assert.equal(
      now.peers[0]?.pending.map(({ name }) => `${volume.dataset}@${name}`),
      [snapshot],
    )
    const there = await beta.status('disk')
    assert.is(there.partial?.decoded?.toname, snapshot)
    const [since, taken] = [there.partial?.since ?? 0, now.peers[0]?.pending[0]?.creation ?? 0]
    assert.ok(since >= taken, `${since}: that of the receive, not of the replica`)
    assert.equal(there.stale, [])
    const asked = { peer, staleMilliseconds: 0 }
    assert.equal((await alpha.status('disk', asked)).stale, [], 'however old: the peer has a part of it')

    const old = { staleMilliseconds: 0 }
    const dry = await alpha.removeStale('disk', { ...old, dryRun: true })
    assert.equal(
      dry.map(({ kind, removed }) => [kind, removed]),
      [['hold', false]],
      'a hold of others keeps the snapshot',
    )
    assert.match(dry[0]?.why ?? '', 'nobody has gone on with it')
    assert.equal(Object.keys(await lzc.getHolds(snapshot)).sort(), ['backup', 'flocker:to:beta'])

    const parts = await beta.removeStale('disk', old)
    assert.equal(
      parts.map(({ kind, removed }) => [kind, removed]),
      [['partial', true]],
    )
    assert.is(await readResumeToken(replica), undefined)
    assert.equal(
      (await beta.status('disk')).received.map((each) => each.snapshot.guid),
      [first.guid],
    )
    const gone = (await alpha.status('disk', asked)).stale
    assert.equal(
      gone.map(({ kind, why }) => [kind, why]),
      [['hold', 'beta has nothing of it']],
    )

    assert.equal(
      (await alpha.removeStale('disk', old)).map(({ kind }) => kind),
      ['hold'],
    )
    assert.equal(Object.keys(await lzc.getHolds(snapshot)), ['backup'])
    await lzc.release({ [snapshot]: 'backup' })
    assert.equal(
      (await alpha.removeStale('disk', old)).map(({ kind }) => kind),
      ['snapshot'],
    )
    assert.not(await lzc.exists(snapshot))
    assert.equal(await alpha.removeStale('disk', asked), [])

    const next = await pushVolume(volume, peer)
    assert.equal([next.kind, next.base], ['incremental', first.snapshot])
  }))

test('pruning keeps what a peer needs, whatever the policy says', () =>
  withBoth(async ({ alpha, beta, peer, volume }) => {
    const one = await pushVolume(volume, peer)
    const rest: string[] = []
    for (const place of [1, 2, 3]) {
      await fill(volume, place, 1)
      rest.push((await pushVolume(volume, peer)).snapshot)
    }
    const base = rest.at(-1) as string
    for (const age of [1, 2]) await lzc.snapshot(`${volume.dataset}@flocker-20270101T00000${age}.000Z-0000`)
    await lzc.snapshot(`${volume.dataset}@mine`)
    const before = await snapshotsOf(volume.dataset)

    const dry = await alpha.prune('disk', { last: 1 }, { dryRun: true })
    assert.is(dry.destroyed, false)
    assert.equal(await snapshotsOf(volume.dataset), before)
    const unknown = await alpha.prune('disk', { last: 1 }, { peers: ['delta'] })
    assert.equal(unknown.destroy, [], 'delta may need any of them')
    await lzc.hold({ [rest[0] as string]: 'backup' })

    const { keep, destroy, destroyed } = await alpha.prune('disk', { last: 1 }, { peers: [peer, 'beta'] })
    assert.ok(destroyed)
    assert.ok([...keep, ...destroy].every(({ why }) => why.length > 10))
    const reasons = Object.fromEntries(
      keep.map(({ snapshot, reason }) => [`${volume.dataset}@${snapshot.name}`, reason]),
    )
    assert.is(reasons[base], 'base')
    assert.is(reasons[rest[0] as string], 'held')
    assert.is(reasons[`${volume.dataset}@mine`], 'untouchable')
    assert.equal(
      await snapshotsOf(volume.dataset),
      before.filter((name) => name in reasons),
    )
    assert.not(await lzc.exists(one.snapshot))

    const replica = await beta.prune('disk', { last: 1 })
    assert.equal(
      replica.keep.map(({ snapshot }) => `${volume.dataset}@${snapshot.name}`),
      [base],
    )
    assert.is(replica.destroy.length, 3)
    await fill(volume, 4, 1)
    const next = await pushVolume(volume, peer)
    assert.equal([next.kind, next.base], ['incremental', base])
    assert.is((await failure(alpha.prune('disk', { last: -1 }))).code, 'INVALID_ARGUMENT')
  }))

test('the command line says the same, and changes nothing unless told to', () =>
  withDirectory(async (directory) => {
    let snapshot: string
    {
      await using alpha = await openAlpha(directory)
      const volume = await alpha.createVolume('disk', { size: 16 * mebibyte })
      await using agent = await startBeta(directory)
      snapshot = (await push(alpha, volume, agent.port)).snapshot
      await fill(volume, 0, 1)
      await push(alpha, volume, agent.port)
      await lzc.hold({ [snapshot]: 'flocker:to:gamma' })
      assert.is(await agent.end('SIGTERM'), 'status 0')
    }
    await using agent = await startBeta(directory)
    const host = ['--embedded', 'a', '--pool', 'alpha', '--credentials', 'alpha']
    const cli = async (...argv: string[]): Promise<string> =>
      (await run(process.execPath, [program, ...argv, ...host], { cwd: directory })).stdout
    const json = async (...argv: string[]) => JSON.parse(await cli(...argv, '--json'))

    assert.match(await cli('status'), /disk {2}alpha\/flocker\/disk, 2 snapshots.*to beta: has confirmed.*to gamma/s)
    const [status] = await json('status', 'disk', `127.0.0.1:${agent.port}`)
    assert.is(status.peers[0].there.exists, true)
    assert.match(await cli('status', '--remove-stale', '--stale-days', '0'), 'would remove: hold flocker:to:gamma')
    const [removal] = await json('status', '--remove-stale', '--stale-days', '0', '--yes')
    assert.equal([removal.tag, removal.removed], ['flocker:to:gamma', true])
    assert.match(await cli('status', '--remove-stale', '--stale-days', '0'), 'Nothing is stale.')

    const planned = await json('prune', 'disk', '--last', '1', '--dry-run')
    assert.equal([planned.destroy.length, planned.destroyed], [1, false])
    assert.match(
      await cli('prune', 'disk', '--last', '1', '--ask', `127.0.0.1:${agent.port}`),
      `destroyed  ${snapshot}`,
    )
    assert.match(await cli('prune', 'disk', '--last', '1'), 'Nothing to destroy.')
    assert.is(await cli('prune', 'disk').catch(({ code }) => code), 2)
  }))

test.before(async () => {
  await useEngine()
})

test.run()
