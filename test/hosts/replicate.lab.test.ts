/** Replication of a whole tree between kernels, on the command line: filesystems, a block volume, an encrypted one, a clone. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sh, treeSum } from '../embedded/content.js'
import type { Host, ProfileName } from '../lab/index.js'
import { agentPort, commandLine, credentialsDirectory, Pair, root } from '../lab/pair.js'

const key = '0123456789abcdef0123456789abcdef'
const filesystems = ['', '/files', '/files/deep', '/secret']

/** What the command prints with --json. */
interface Printed {
  outcomes: {
    kind: string
    step: { kind: string; source: string }
    error?: { code: string; message: string }
    propertiesLeftOut?: { name: string; why: string }[]
  }[]
  findings: { kind: string }[]
  failed: number
  leftOut: number
}

async function push(alpha: Host, ...more: string[]): Promise<Printed> {
  const flags = ['--pool', alpha.pool, '--credentials', credentialsDirectory, '--json', ...more]
  const argv = ['node', commandLine, 'push', 'tree', `beta:${agentPort}`, '--recursive', ...flags]
  const { stdout, stderr } = await alpha.run(argv, { check: false })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Printed
}

/** Every step went through and nothing was found; the kinds of the steps. */
function kindsOf({ outcomes, findings, failed, leftOut }: Printed): string[] {
  const errors = outcomes.flatMap(({ error, step }) => (error ? [`${step.kind} ${step.source}: ${error.message}`] : []))
  assert.equal(errors, [])
  assert.equal([failed, leftOut, findings], [0, 0, []])
  return outcomes.map(({ step }) => step.kind)
}

/** Mountpoints beside one another, so that no tree has another's in it. */
async function create(host: Host): Promise<void> {
  const tree = `${root(host)}/tree`
  const encryption = '-o encryption=aes-256-gcm -o keyformat=raw'
  await sh(host, `zfs create -p -o mountpoint=/srv/tree "$1"`, tree)
  await sh(host, `zfs create -o mountpoint=/srv/files -o quota=512M -o refreservation=1M "$1/files"`, tree)
  await sh(host, `zfs set refquota=400M com.example:owner=me com.sun:auto-snapshot=true exec=off "$1/files"`, tree)
  await sh(host, `zfs create -o mountpoint=/srv/deep -o recordsize=1M -o compression=lz4 "$1/files/deep"`, tree)
  await sh(host, `printf %s ${key} | zfs create -o mountpoint=/srv/secret ${encryption} "$1/secret"`, tree)
  await sh(host, `zfs set com.example:secret=kept atime=off "$1/secret"`, tree)
  await sh(host, `zfs create -V 32M -o compression=gzip "$1/disk"`, tree)
  await change(host, 'first', 0)
}

async function change(host: Host, what: string, at: number): Promise<void> {
  const script = `for i in tree files deep secret; do
      mkdir /srv/$i/$1; head -c 2000000 /dev/urandom > /srv/$i/$1/random; seq 100000 > /srv/$i/$1/numbers
      ln -s random /srv/$i/$1/link; chmod 640 /srv/$i/$1/random
    done
    for i in $(seq 100); do [ -b /dev/zd0 ] && break; sleep .05; done
    dd if=/dev/urandom of=/dev/zd0 bs=1M count=3 seek=$2 conv=notrunc,fsync status=none`
  await sh(host, script, what, String(at))
}

async function sums(host: Host, names: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = { disk: (await sh(host, 'sha256sum /dev/zd0')).split(' ')[0] ?? '' }
  for (const name of names) found[name] = await treeSum(host, `${root(host)}/tree${name}`)
  return found
}

const rules = (datasets: string) => [
  { peer: 'alpha', verbs: ['inspect', 'receive'] as const, datasets: [`${datasets}/**`], properties: ['refquota'] },
]

/** What the replicas have as received values. */
async function receivedBelow(host: Host): Promise<string[]> {
  const script = `zfs get -Hrs received -o property,value all -t filesystem,volume "$1" | sort -u | tr '\\t' ' '`
  return (await sh(host, script, `${root(host)}/tree`)).split('\n')
}

async function story(from: ProfileName, to: ProfileName): Promise<void> {
  await using pair = await Pair.open({ alpha: from, beta: to, rules })
  const { alpha, beta } = pair
  const [ours, theirs] = [`${root(alpha)}/tree`, `${root(beta)}/tree`]
  await create(alpha)
  assert.equal(kindsOf(await push(alpha, '--concurrency', '3')), ['full', 'full', 'full', 'full', 'full'])
  await sh(beta, `printf %s ${key} | zfs load-key "$1/secret"`, theirs)
  assert.equal(await sums(beta, filesystems), await sums(alpha, filesystems))
  assert.ok((await receivedBelow(beta)).includes('com.example:secret kept'))

  await change(alpha, 'second', 6)
  await sh(alpha, 'zfs snapshot -r "$1@daily"; zfs clone -o mountpoint=/srv/copy "$1/files@daily" "$1/copy"', ours)
  await sh(alpha, 'date > /srv/copy/own; zfs rename "$1/files/deep" "$1/moved"; rm -r /srv/files/first', ours)
  await sh(beta, 'zfs unload-key "$1/secret"', theirs)
  const properties = ['--properties', '*,refquota,quota', '--exclude-property', 'com.example:sec*']
  const pushed = await push(alpha, ...properties, '--set-property', 'com.example:set=here', '--limit', '1G')
  const leftOut = pushed.outcomes.flatMap(({ propertiesLeftOut = [] }) => propertiesLeftOut)
  assert.equal(leftOut, [
    { name: 'quota', why: 'not-allowed' },
    { name: 'quota', why: 'not-allowed' },
  ])
  const second = kindsOf(pushed)
  assert.equal([...new Set(second)].sort(), ['clone', 'incremental', 'rename'])
  await sh(beta, `printf %s ${key} | zfs load-key "$1/secret"`, theirs)
  const names = ['', '/files', '/moved', '/secret', '/copy']
  assert.equal(await sums(beta, names), await sums(alpha, names))
  assert.is(await sh(beta, 'zfs get -Ho value origin "$1/copy"', theirs), `${theirs}/files@daily`)
  const set = ['atime off', 'com.example:owner me', 'compression gzip', 'compression lz4', 'exec off', 'recordsize 1M']
  assert.equal(await receivedBelow(beta), [...set, 'refquota 400M'])
  const override = 'zfs get -Hro value,source com.example:set -t filesystem,volume "$1" | sort -u'
  assert.is(await sh(beta, override, theirs), 'here\tlocal')
  const space = 'zfs get -Hro value quota,reservation,refreservation -t filesystem,volume "$1" | sort -u'
  assert.is(await sh(beta, space, theirs), '-\nnone')
  const settings = 'zfs get -Hro value,source readonly,canmount -t filesystem "$1" | sort -u'
  assert.is(await sh(beta, settings, theirs), 'noauto\tlocal\non\tlocal')
  assert.is(await sh(beta, 'zfs get -Hro value mounted -t filesystem "$1" | sort -u', theirs), 'no')
  assert.equal(kindsOf(await push(alpha, '--existing')), [])
  const holds = 'zfs list -Hro name -t snapshot "$1" | xargs zfs holds -H'
  assert.is(await sh(alpha, holds, ours), '')
}

// From kernel to kernel: replicate-directions.lab.test.ts.
for (const [from, to] of [
  ['newest', 'newest'],
  ['oldest', 'oldest'],
] as const) {
  test(`${from} to ${to}: a tree with an encrypted child, a clone and a rename`, () => story(from, to))
}

test.run()
