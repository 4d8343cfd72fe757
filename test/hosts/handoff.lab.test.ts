/** A filesystem changes hands between two kernels: with a writer in it, with its power cut, and with its owner gone. */
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, LabCommandError, type LabProcess } from '../lab/index.js'
import { agentPort, commandLine, credentialsDirectory, Pair, root, startAgent } from '../lab/pair.js'
import { eventually } from '../zfs/pool.js'
import type { HandoffOrder, HandoffReport } from './guest/handoff.js'

const program = join(__dirname, 'guest/handoff.js')
const verbs = ['inspect', 'receive', 'rollback', 'send', 'own'] as const

/** Two hosts, each with an agent that knows the other. */
class Owners implements AsyncDisposable {
  readonly log: string[] = []
  agent: LabProcess | undefined

  private constructor(readonly pair: Pair) {}

  static async open(disk: string): Promise<Owners> {
    const rules = (datasets: string) => [{ peer: 'alpha', verbs, datasets: [`${datasets}/**`] }]
    const owners = new Owners(await Pair.open({ disk, rules, agentFlags: ['--peer', `alpha:${agentPort}`] }))
    await owners.startAlpha()
    return owners
  }

  async startAlpha(): Promise<void> {
    const { alpha } = this.pair
    const rules = [{ peer: 'beta', verbs, datasets: [`${root(alpha)}/**`] }]
    this.agent = await startAgent(alpha, ['--pool', alpha.pool, '--peer', `beta:${agentPort}`], rules, this.log)
  }

  async reviveAlpha(): Promise<void> {
    await this.pair.revive(this.pair.alpha)
    await this.startAlpha()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair[Symbol.asyncDispose]()
  }
}

async function flocker(host: Host, ...words: string[]): Promise<string> {
  const flags = ['--pool', host.pool, '--credentials', credentialsDirectory]
  return (await host.run(['node', commandLine, ...words, ...flags])).stdout
}

interface Listed {
  name: string
  served: boolean
  owner: { host: string; epoch: string }
}

async function volumes(host: Host): Promise<Listed[]> {
  return JSON.parse(await flocker(host, 'volumes', 'list', '--json')) as Listed[]
}

async function served(host: Host, name = 'db'): Promise<boolean> {
  return (await volumes(host)).some((volume) => volume.name === name && volume.served)
}

async function properties(host: Host, name: string, names: string): Promise<string> {
  const { stdout } = await host.run(['zfs', 'get', '-Hpo', 'value', names, `${root(host)}/${name}`])
  return stdout.trim().replaceAll('\n', ' ')
}

async function handOver(host: Host, order: Omit<HandoffOrder, 'pool'>): Promise<HandoffReport> {
  const { stdout } = await host.run(['node', program, JSON.stringify({ pool: host.pool, ...order })])
  return JSON.parse(stdout) as HandoffReport
}

const lines = async (host: Host): Promise<string[]> =>
  (await host.run(['cat', '/flocker/db/log'])).stdout.trimEnd().split('\n')

test('a database of a kind changes hands, comes back, and survives its hosts', async () => {
  await using owners = await Owners.open('1 GiB')
  const { alpha, beta } = owners.pair
  assert.is((await flocker(alpha, 'volumes', 'create', 'db', '--quota', '256M')).trim(), '/flocker/db')

  const moved = await handOver(alpha, { volume: 'db', peer: `beta:${agentPort}`, milliseconds: 1500 })
  console.log(`\nmeasured: a pause of ${moved.pauseMilliseconds} ms, ${JSON.stringify(moved.phases)}`)
  assert.equal([moved.owner, moved.epoch], ['beta', '2'])
  const records = await lines(beta)
  assert.ok(moved.acknowledged > 0 && records.length >= moved.acknowledged, 'every acknowledged record is there')
  assert.equal(
    records,
    Array.from({ length: records.length }, (_, i) => `${i + 1}`),
  )
  assert.is(await properties(beta, 'db', 'readonly,mounted,mountpoint,refquota'), `off yes /flocker/db ${256 << 20}`)
  assert.is(await properties(alpha, 'db', 'readonly,mounted,canmount'), 'on no noauto')

  // It is in use there.
  const user = beta.spawn(['sh', '-c', 'cd /flocker/db && echo in && exec sleep 1000'])
  await new Promise((resolve) => user.stdout.once('data', resolve))
  const refused = await flocker(alpha, 'acquire', 'db', `beta:${agentPort}`).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(refused, LabCommandError)
  assert.match((refused as LabCommandError).message, /\[BUSY\]/)
  assert.is(await properties(beta, 'db', 'readonly,mounted'), 'off yes')
  user.kill('SIGKILL')
  await user.exit
  await beta.run(['sh', '-c', 'echo from beta >> /flocker/db/log; sync'])
  await flocker(alpha, 'acquire', 'db', `beta:${agentPort}`)
  assert.is((await lines(alpha)).at(-1), 'from beta')
  assert.equal([await served(alpha), await served(beta)], [true, false])

  // The power of its owner is cut: it is served again once beta has said that it was not promoted.
  await owners.pair.alpha.cutPower()
  await owners.reviveAlpha()
  await eventually(() => served(alpha), 60_000)
  assert.is((await lines(alpha)).at(-1), 'from beta')

  // Its owner is gone for longer, and beta is promoted.
  await alpha.run(['sh', '-c', 'echo never sent >> /flocker/db/log; sync; zpool sync'])
  await alpha.cutPower()
  const loss = await flocker(beta, 'promote', 'db', '--dry-run')
  assert.match(loss, /db is alpha's \(epoch 3\)/)
  const wrong = await flocker(beta, 'promote', 'db', '--fenced', 'beta').catch((error: Error) => error.message)
  assert.match(wrong, /FENCE_REFUSED/)
  assert.not(await served(beta))
  assert.match(await flocker(beta, 'promote', 'db', '--fenced', 'alpha'), /beta owns db since epoch 4/)
  assert.is((await lines(beta)).at(-1), 'from beta')
  await beta.run(['sh', '-c', 'echo while alpha was away >> /flocker/db/log'])

  await owners.reviveAlpha()
  await eventually(async () => (await volumes(alpha))[0]?.owner.host === 'beta', 60_000)
  assert.is(await properties(alpha, 'db', 'readonly,mounted'), 'on no')
  const pushed = await flocker(beta, 'push', 'db', `alpha:${agentPort}`)
  assert.match(pushed, /incremental/)
  const { stdout } = await alpha.run(['zfs', 'list', '-Ho', 'name', '-r', root(alpha)])
  const kept = stdout.split('\n').find((name) => name.includes('/db-unsent-')) as string
  assert.ok(kept, stdout)
  await alpha.run(['zfs', 'mount', kept])
  const path = (await alpha.run(['zfs', 'get', '-Ho', 'value', 'mountpoint', kept])).stdout.trim()
  assert.match((await alpha.run(['cat', `${path}/log`])).stdout, /from beta\nnever sent\n$/)
  await flocker(beta, 'handoff', 'db', `alpha:${agentPort}`)
  assert.is((await lines(alpha)).at(-1), 'while alpha was away')
})

test('a block volume changes hands, a replica can be looked at, and paths that differ are refused', async () => {
  await using owners = await Owners.open('1 GiB')
  const { alpha, beta } = owners.pair
  const peer = `beta:${agentPort}`
  const sum = async (host: Host): Promise<string> => (await host.run(['sha256sum', '/dev/zd0'])).stdout
  const write = ['dd', 'if=/dev/urandom', 'of=/dev/zd0', 'bs=1M', 'count=4', 'conv=fsync', 'status=none']
  await flocker(alpha, 'volumes', 'create', 'disk', '--size', '16M')
  await alpha.run(write)
  await flocker(alpha, 'handoff', 'disk', peer)
  assert.is(await sum(beta), await sum(alpha))
  await beta.run(write)
  assert.is.not((await alpha.run(write, { check: false })).status, 0, 'it is read-only there')
  await flocker(alpha, 'acquire', 'disk', peer)
  assert.is(await sum(alpha), await sum(beta))

  await flocker(alpha, 'volumes', 'create', 'files', '--quota', '64M', '--metadata', 'of=tests')
  await flocker(alpha, 'volumes', 'resize', 'files', '32M')
  await alpha.run(['sh', '-c', 'echo one > /flocker/files/x'])
  const full = ['dd', 'if=/dev/urandom', 'of=/flocker/files/large', 'bs=1M', 'count=40', 'conv=fsync', 'status=none']
  assert.is.not((await alpha.run(full, { check: false })).status, 0, 'its quota')
  await flocker(alpha, 'volumes', 'clone', 'files', 'copy')
  assert.is((await alpha.run(['cat', '/flocker/copy/x'])).stdout, 'one\n')
  await flocker(alpha, 'volumes', 'destroy', 'copy')
  await alpha.run(['sh', '-c', 'rm /flocker/files/large; zpool sync'])

  // A replica that is mounted stays read-only, and follows.
  const following = alpha.spawn([
    ...['node', commandLine, 'follow', 'files', peer, '--interval', '1', '--keep-last', '2', '--json'],
    ...['--pool', alpha.pool, '--credentials', credentialsDirectory],
  ])
  await eventually(async () => (await volumes(beta)).some(({ name }) => name === 'files'), 60_000)
  await eventually(async () => (await properties(beta, 'files', 'receive_resume_token')) === '-', 30_000)
  await eventually(
    async () => (await beta.run(['zfs', 'mount', `${root(beta)}/files`], { check: false })).status === 0,
    30_000,
  )
  await alpha.run(['sh', '-c', 'echo two > /flocker/files/x; sync'])
  await eventually(
    async () => (await beta.run(['cat', '/flocker/files/x'], { check: false })).stdout === 'two\n',
    60_000,
  )
  assert.is.not((await beta.run(['touch', '/flocker/files/y'], { check: false })).status, 0)
  following.kill('SIGINT')
  assert.is((await following.exit).status, 0)
  await beta.run(['zfs', 'unmount', `${root(beta)}/files`])

  await beta.run(['zfs', 'set', 'mountpoint=/elsewhere', root(beta)])
  const refused = await flocker(alpha, 'handoff', 'files', peer).catch((error: Error) => error.message)
  assert.match(refused, /\[PATH_DIFFERS\]/)
  assert.is(await properties(alpha, 'files', 'readonly,mounted'), 'off yes')
  await beta.run(['zfs', 'set', 'mountpoint=/flocker', root(beta)])
  await flocker(alpha, 'handoff', 'files', peer)
  assert.is(
    await properties(beta, 'files', 'readonly,mounted,mountpoint,refquota'),
    `off yes /flocker/files ${32 << 20}`,
  )
})

/** FLOCKER_ZFS_PAUSE=full: of 1 and 8 GiB. */
const sizes = process.env.FLOCKER_ZFS_PAUSE === 'full' ? [1024, 8192] : [16, 128]

test('the pause does not grow with the size', async () => {
  await using owners = await Owners.open(`${Math.ceil(((sizes[0] as number) + (sizes[1] as number)) * 1.3) + 512} MiB`)
  const { alpha } = owners.pair
  const pauses: number[] = []
  for (const [i, mebibytes] of sizes.entries()) {
    await flocker(alpha, 'volumes', 'create', `v${i}`)
    const write = [
      'dd',
      'if=/dev/zero',
      `of=/flocker/v${i}/data`,
      'bs=1M',
      `count=${mebibytes}`,
      'conv=fsync',
      'status=none',
    ]
    await alpha.run(write, { timeoutMilliseconds: 900_000 })
    const order = { pool: alpha.pool, volume: `v${i}`, peer: `beta:${agentPort}`, milliseconds: 300 }
    const run = await alpha.run(['node', program, JSON.stringify(order)], { timeoutMilliseconds: 900_000 })
    const { pauseMilliseconds, bytes, phases } = JSON.parse(run.stdout) as HandoffReport
    pauses.push(pauseMilliseconds)
    assert.ok(bytes > mebibytes * 1_000_000)
    console.log(`\nmeasured: ${mebibytes} MiB: a pause of ${pauseMilliseconds} ms, ${JSON.stringify(phases)}`)
  }
  const [small, large] = pauses as [number, number]
  assert.ok(large < small * 3 + 1000, `${small} ms, ${large} ms`)
})

test.run()
