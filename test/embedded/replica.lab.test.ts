/**
 * A machine without ZFS as the replica of a host that has it: alpha pushes to beta, whose pool is a file of an ordinary user's;
 * beta gives everything back to gamma, a new host; gamma goes on where alpha was. With the newest kernel, or with FLOCKER_ZFS_INTEROP=all
 * with the oldest one too.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCa, createHostCertificate } from '../../src/index.js'
import { type Host, type LabProcess, openLab, type ProfileName, type SpawnOptions } from '../lab/index.js'
import { commandLine, credentialsDirectory, installCredentials, root, startAgent } from '../lab/pair.js'
import { sh, treeSum, volumeSum, withDevice } from './content.js'
import { build } from './engine.js'

const key = '0123456789abcdef0123456789abcdef'
const ordinaryUser = 1000
const kinds = { files: 'filesystem', disk: 'volume', secret: 'filesystem', vault: 'volume' } as const
type Name = keyof typeof kinds
const names = Object.keys(kinds) as Name[]

interface Pushed {
  kind: string
  snapshot: string
  base?: string
  guid: string
}

class Story implements AsyncDisposable {
  readonly #log: string[] = []
  #agent: LabProcess | undefined

  private constructor(
    private readonly lab: AsyncDisposable,
    private readonly directory: string,
    readonly alpha: Host,
    readonly beta: Host,
    readonly gamma: Host,
    private readonly library: string,
  ) {}

  static async begin(profile: ProfileName): Promise<Story> {
    const { library } = await build('2.3')
    const lab = await openLab({
      hosts: ['alpha', 'beta', 'gamma'].map((name) => ({ name, profile, disks: ['1 GiB'] })),
    })
    const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-'))
    const [alpha, beta, gamma] = lab.hosts as [Host, Host, Host]
    const story = new Story(lab, directory, alpha, beta, gamma, library)
    await createCa(join(directory, 'ca'))
    for (const host of lab.hosts) await story.#certify(host)
    for (const host of [alpha, gamma]) {
      await host.run(['zpool', 'create', '-O', 'volmode=none', '-O', 'mountpoint=none', host.pool, ...host.disks])
    }
    // No ZFS on beta: not even root of its own is needed.
    await sh(beta, `rm /dev/zfs; mkdir /srv/replicas; chown -R ${ordinaryUser} /srv/replicas ${credentialsDirectory}`)
    const datasets = [`${root(gamma)}/**`]
    await startAgent(gamma, ['--pool', gamma.pool], [{ peer: 'beta', verbs: ['inspect', 'receive'], datasets }], [])
    return story
  }

  async #certify(host: Host): Promise<void> {
    const addresses = [host.name, host.address]
    await createHostCertificate(join(this.directory, 'ca'), join(this.directory, host.name), {
      identity: host.name,
      addresses,
    })
    await installCredentials(host, join(this.directory, host.name))
  }

  /** How beta's programs run, and where its volumes are. */
  get #asUser(): SpawnOptions {
    return { user: ordinaryUser, env: { FLOCKER_ZFS_EMBEDDED_LIBRARY: this.library } }
  }

  #volumesOf(host: Host): string[] {
    return host === this.beta ? ['--embedded', '/srv/replicas'] : ['--pool', host.pool]
  }

  async startBeta(): Promise<void> {
    const rules = [this.alpha, this.gamma].map(({ name }) => ({
      peer: name,
      verbs: ['inspect' as const, 'receive' as const],
      datasets: ['embedded/flocker/**'],
    }))
    this.#agent = await startAgent(this.beta, this.#volumesOf(this.beta), rules, this.#log, this.#asUser)
  }

  /** A pool in a file is one process's: to push from it, its agent ends first. */
  async stopBeta(): Promise<void> {
    this.#agent?.kill('SIGTERM')
    assert.equal(await this.#agent?.exit, { status: 0, signal: null })
  }

  /** `flocker-zfs push`, from one host to another. */
  async push(from: Host, volume: Name, to: Host, snapshot?: string): Promise<Pushed> {
    const chosen = snapshot === undefined ? [] : ['--snapshot', snapshot]
    const flags = [...this.#volumesOf(from), '--credentials', credentialsDirectory, '--json', ...chosen]
    const options = { ...(from === this.beta ? this.#asUser : {}), check: false }
    const { status, stdout, stderr } = await from.run(['node', commandLine, 'push', volume, to.name, ...flags], options)
    if (status === 0) return JSON.parse(stdout) as Pushed
    throw new Error(`pushing ${volume} from ${from.name} to ${to.name}: ${stderr}\n${this.#log.slice(-5).join('\n')}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true })
  }
}

/** Two filesystems and two volumes, of each an encrypted one. */
async function create(host: Host): Promise<void> {
  const parent = root(host)
  const options = { files: '-o recordsize=1M -o compression=lz4', disk: '', secret: encryption, vault: encryption }
  await sh(host, `zfs create -o canmount=off -o mountpoint=/flocker ${parent}`)
  for (const name of names) {
    const size = kinds[name] === 'volume' ? '-s -V 32M' : ''
    await sh(host, `printf %s ${key} | zfs create ${options[name]} ${size} ${parent}/${name}`)
    await change(host, name, 'first')
  }
}
const encryption = '-o encryption=aes-256-gcm -o keyformat=raw -o compression=lz4'

async function change(host: Host, name: Name, what: 'first' | 'second' | 'third'): Promise<void> {
  const dataset = `${root(host)}/${name}`
  const at = { first: 0, second: 3, third: 6 }[what]
  if (kinds[name] === 'volume') {
    const write = `dd if=/dev/urandom of="$1" bs=1M count=8 seek=${at} conv=fsync status=none
      seq 100000 | dd of="$1" bs=1M seek=${at + 16} conv=fsync status=none`
    await withDevice(host, dataset, write)
    return
  }
  await sh(
    host,
    `cd "$1"; mkdir ${what}; seq 300000 > ${what}/numbers; head -c 5000000 /dev/urandom > ${what}/random
    ln -s random ${what}/link; ln ${what}/numbers ${what}/again; truncate -s 20M ${what}/hole; chmod 640 ${what}/random
    mkfifo ${what}/fifo; echo small > ${what}/small; chown 12:34 ${what}/small
    dd if=/dev/urandom of=changing bs=128k count=1 seek=${at} conv=notrunc status=none
    for i in $(seq 500); do echo $i > ${what}/$i; done; if [ -e first ]; then rm -f first/4*; fi`,
    `/flocker/${name}`,
  )
}

async function sums(host: Host): Promise<Record<string, string>> {
  const of: Record<string, string> = {}
  for (const name of names) {
    const dataset = `${root(host)}/${name}`
    of[name] = kinds[name] === 'volume' ? await volumeSum(host, dataset) : await treeSum(host, dataset)
  }
  return of
}

async function story(profile: ProfileName): Promise<void> {
  await using hosts = await Story.begin(profile)
  const { alpha, beta, gamma } = hosts
  await create(alpha)
  await hosts.startBeta()
  const [first, second] = [new Map<Name, string>(), new Map<Name, string>()]
  const remember = (map: Map<Name, string>, name: Name, { snapshot }: Pushed): void =>
    void map.set(name, snapshot.split('@')[1] as string)
  for (const name of names) {
    const pushed = await hosts.push(alpha, name, beta)
    assert.is(pushed.kind, 'full')
    remember(first, name, pushed)
  }
  const old = await sums(alpha)
  for (const name of names) await change(alpha, name, 'second')
  for (const name of names) {
    const pushed = await hosts.push(alpha, name, beta)
    assert.is(pushed.kind, 'incremental')
    remember(second, name, pushed)
  }
  const kept = await sums(alpha)
  await alpha.cutPower()

  // Beta gives it back, one state after the other, without ever having had the key.
  await hosts.stopBeta()
  for (const name of names) {
    assert.is((await hosts.push(beta, name, gamma, first.get(name))).kind, 'full')
  }
  await sh(gamma, `for i in secret vault; do printf %s ${key} | zfs load-key ${root(gamma)}/$i; done`)
  assert.equal(await sums(gamma), old)
  for (const name of names) {
    assert.is((await hosts.push(beta, name, gamma, second.get(name))).kind, 'incremental')
    assert.is((await hosts.push(beta, name, gamma, second.get(name))).kind, 'current')
  }
  assert.equal(await sums(gamma), kept)

  // Gamma is the new alpha: it writes, and beta is its replica.
  await hosts.startBeta()
  for (const name of names) {
    await sh(gamma, `zfs set readonly=off "$1"`, `${root(gamma)}/${name}`)
    if (kinds[name] === 'filesystem') await sh(gamma, 'zfs mount "$1"', `${root(gamma)}/${name}`)
    await change(gamma, name, 'third')
    const pushed = await hosts.push(gamma, name, beta)
    assert.is(pushed.kind, 'incremental')
  }
  await hosts.stopBeta()
}

for (const profile of process.env.FLOCKER_ZFS_INTEROP === 'all'
  ? (['newest', 'oldest'] as const)
  : (['newest'] as const)) {
  test(`a host without ZFS keeps the replica of a ${profile} one and gives it back`, () => story(profile))
}

test.run()
