/**
 * Trees between kernels, in every direction: encrypted, compressed, large blocks, volumes, clones, and many children; what arrives
 * is compared byte for byte on the destination's kernel. FLOCKER_ZFS_CHILDREN=1000 tries only so many children, in every direction;
 * that takes longer than `test/run.ts` allows a file: `node build/test/hosts/replicate-directions.lab.test.js`.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sh } from '../embedded/content.js'
import type { Host, ProfileName } from '../lab/index.js'
import { Directions, type Printed, profiles } from './directions.js'
import { change, create, first, loadKeys, second, sums, unloadKeys } from './tree-content.js'

const children = process.env.FLOCKER_ZFS_CHILDREN
const patience = { timeoutMilliseconds: 3_600_000 }
let lab: Directions

test.before(async () => {
  // ZFS itself keeps most of a megabyte for each dataset that is mounted, and 2.1 prunes without end where that is most of its ARC.
  lab = await Directions.open(children === undefined ? '1 GiB' : '8 GiB')
})

test.after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

/** Every step went through and nothing was found; the kinds of the steps. */
function kindsOf({ outcomes, findings, failed, leftOut }: Printed): string[] {
  const errors = outcomes.flatMap(({ error, step }) => (error ? [`${step.kind} ${step.source}: ${error.message}`] : []))
  assert.equal(errors, [])
  assert.equal([failed, leftOut, findings], [0, 0, []])
  return outcomes.map(({ step }) => step.kind)
}

const replicaOf = (volume: string): string => `vault/flocker/${volume}`

/** Compares the replica on its own kernel, with the key that it never had for receiving. */
async function check(to: ProfileName, volume: string, names: typeof first, expected: object): Promise<void> {
  const host = lab.host(to)
  await loadKeys(host, replicaOf(volume))
  assert.equal(await sums(host, replicaOf(volume), names), expected, `${volume} on ${to}`)
  await unloadKeys(host, replicaOf(volume))
}

/** What large and embedded blocks and compression need is in use there, and holes are holes. */
async function checkKept(host: Host, volume: string): Promise<void> {
  const features = ['large_blocks', 'embedded_data', 'zstd_compress', 'large_dnode', 'encryption']
  const get = `zpool get -Ho value ${features.map((name) => `feature@${name}`).join()} vault`
  assert.is(await sh(host, `${get} | sort -u`), 'active')
  const blocks = `zfs mount "$1"; stat -c %b "$(zfs get -Ho value mountpoint "$1")/first/hole"; zfs unmount "$1"`
  assert.ok(Number(await sh(host, blocks, replicaOf(volume))) * 512 < 1024 * 1024)
}

async function everything(from: ProfileName): Promise<void> {
  const volume = `of-${from}`
  const tree = `tank/flocker/${volume}`
  const source = lab.host(from)
  await create(source, tree, from)
  const before = await sums(source, tree, first)
  // FLOCKER_ZFS_INTEROP=all: to its own kernel too.
  const there = profiles.filter((to) => to !== from || process.env.FLOCKER_ZFS_INTEROP === 'all')
  for (const to of there) {
    const kinds = kindsOf(await lab.push(from, to, volume, { flags: ['--concurrency', '3'] }))
    assert.is(kinds.filter((kind) => kind === 'clone').length, 1)
    await check(to, volume, first, before)
    await checkKept(lab.host(to), volume)
  }

  await change(source, tree)
  const after = await sums(source, tree, second)
  assert.not.equal(after, before)
  for (const to of there) {
    const kinds = kindsOf(await lab.push(from, to, volume))
    assert.equal([...new Set(kinds)].sort(), ['clone', 'full', 'incremental', 'rename'])
    await check(to, volume, second, after)
    await checkReplica(lab.host(to), volume)
  }
  const last = there.at(-1) as ProfileName
  assert.equal(kindsOf(await lab.push(from, last, volume, { flags: ['--existing'] })), [])
  assert.is(await sh(source, 'zfs list -Hro name -t snapshot "$1" | xargs zfs holds -H', tree), '')
}

async function checkReplica(host: Host, volume: string): Promise<void> {
  const replica = replicaOf(volume)
  const get = (what: string, of: string) => sh(host, `zfs get -Ho value ${what} "$1"`, of)
  assert.is(await get('origin', `${replica}/copy`), `${replica}/files@origin`)
  assert.is(await get('origin', `${replica}/second`), `${replica}/files@daily`)
  assert.is(await sh(host, 'zfs get -Hro value mounted -t filesystem "$1" | sort -u', replica), 'no')
}

async function refusesWhatItLacks(): Promise<void> {
  const source = lab.host('newest')
  await sh(source, createMixed, source.disks[2] as string)
  assert.is(await sh(source, 'zpool get -Ho value feature@longname,feature@large_microzap new | sort -u'), 'active')
  const [root, refused] = ['new/flocker/mixed', 'NOT_SUPPORTED']
  const list = (host: Host, what: string, of: string) => sh(host, `zfs list -Hro name -t ${what} "$1"`, of)
  for (const to of profiles) {
    const { outcomes } = await lab.push('newest', to, 'mixed', { pool: 'new' })
    const ends = Object.fromEntries(outcomes.map(({ step, error, kind }) => [step.source, error?.code ?? kind]))
    const [long, zap] = [`${root}/long`, `${root}/zap`]
    assert.equal(ends, { [root]: 'done', [long]: refused, [`${root}/plain`]: 'done', [zap]: refused }, to)
    const there = await list(lab.host(to), 'filesystem', replicaOf('mixed'))
    assert.is(there, `${replicaOf('mixed')}\n${replicaOf('mixed/plain')}`, to)
    for (const name of [long, zap]) assert.is(await list(source, 'snapshot', name), '')
  }
  await sh(
    source,
    'zpool set compatibility=off vault; for i in longname large_microzap; do zpool set feature@$i=enabled vault; done',
  )
  kindsOf(await lab.push('newest', 'newest', 'mixed', { pool: 'new' }))
  const names = { filesystems: ['', 'long', 'plain', 'zap'], volumes: [] }
  assert.equal(await sums(source, replicaOf('mixed'), names), await sums(source, root, names))
}

const createMixed = `
  zpool create -O compression=off -O mountpoint=none new "$1"
  zfs create -p -o mountpoint=/srv/new/root new/flocker/mixed
  for i in plain long zap; do zfs create -o mountpoint=/srv/new/$i new/flocker/mixed/$i; done
  zfs set compression=zstd-19 new/flocker/mixed/plain; seq 100000 > /srv/new/plain/numbers
  zfs set longname=on new/flocker/mixed/long; touch /srv/new/long/$(printf "n%.0s" $(seq 400))
  echo 1048576 > /sys/module/zfs/parameters/zap_micro_max_size
  cd /srv/new/zap; for i in $(seq 3000); do : > "$i"; done; zpool sync new`

async function pushMany(from: ProfileName, to: ProfileName): Promise<void> {
  const [volume, count] = [`many-${from}`, children ?? '12']
  const [tree, source] = [`tank/flocker/${volume}`, lab.host(from)]
  const run = async (host: Host, action: string, of = tree): Promise<string> =>
    (await host.runEntry('test/hosts/guest/children.ts', [action, of, count], patience)).stdout
  if ((await source.run(['zfs', 'list', tree], { check: false })).status !== 0) await run(source, 'create')
  for (const kind of ['full', 'incremental']) {
    // Files grow, so that the last ones tell of all streams.
    await run(source, 'change')
    const started = performance.now()
    const kinds = kindsOf(await lab.push(from, to, volume, { flags: ['--concurrency', '8'], ...patience }))
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`measured: ${kinds.length} ${kind} streams, ${from} to ${to}: ${seconds} s`)
    assert.is(kinds.length, Number(count) + 1)
    assert.equal([...new Set(kinds)], [kind])
  }
  assert.is(await run(lab.host(to), 'sum', replicaOf(volume)), await run(source, 'sum'))
}

if (children === undefined) {
  for (const from of profiles) {
    test(`from ${from}: a tree of everything, and what becomes of it, to the other kernel`, () => everything(from))
  }
  test('what 2.1 or the pool lacks is refused before anything is touched, and the rest arrives', refusesWhatItLacks)
  test('from newest to oldest: 40 children', () => pushMany('newest', 'oldest'))
} else {
  for (const from of profiles) {
    for (const to of profiles) test(`from ${from} to ${to}: ${children} children`, () => pushMany(from, to))
  }
}

test.run()
