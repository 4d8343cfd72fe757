/**
 * Trees between kernels, in every direction: encrypted, compressed, large blocks, volumes, clones, and many children; what arrives
 * is compared byte for byte on the destination's kernel. FLOCKER_ZFS_CHILDREN=1000 is how many children, and then in every
 * direction; that takes longer than `test/run.ts` allows a file: `node build/test/hosts/replicate-directions.lab.test.js`.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sh } from '../embedded/content.js'
import type { Host, ProfileName } from '../lab/index.js'
import { Directions, type Printed, profiles } from './directions.js'
import { change, create, first, loadKeys, second, sums, unloadKeys } from './tree-content.js'

let lab: Directions

test.before(async () => {
  lab = await Directions.open()
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

for (const from of profiles) {
  const volume = `of-${from}`
  const tree = `tank/flocker/${volume}`
  test(`from ${from}: a tree of everything, and what becomes of it, to each kernel`, async () => {
    const source = lab.host(from)
    await create(source, tree, from)
    const before = await sums(source, tree, first)
    for (const to of profiles) {
      const kinds = kindsOf(await lab.push(from, to, volume, { flags: ['--concurrency', '3'] }))
      assert.is(kinds.filter((kind) => kind === 'clone').length, 1)
      await check(to, volume, first, before)
      await checkKept(lab.host(to), volume)
    }

    await change(source, tree)
    const after = await sums(source, tree, second)
    assert.not.equal(after, before)
    for (const to of profiles) {
      const kinds = kindsOf(await lab.push(from, to, volume))
      assert.equal([...new Set(kinds)].sort(), ['clone', 'full', 'incremental', 'rename'])
      await check(to, volume, second, after)
      await checkReplica(lab.host(to), volume)
      assert.equal(kindsOf(await lab.push(from, to, volume, { flags: ['--existing'] })), [])
    }
    assert.is(await sh(source, 'zfs list -Hro name -t snapshot "$1" | xargs zfs holds -H', tree), '')
  })
}

async function checkReplica(host: Host, volume: string): Promise<void> {
  const replica = replicaOf(volume)
  const get = (what: string, of: string) => sh(host, `zfs get -Ho value ${what} "$1"`, of)
  assert.is(await get('origin', `${replica}/copy`), `${replica}/files@origin`)
  assert.is(await get('origin', `${replica}/second`), `${replica}/files@daily`)
  assert.is(await sh(host, 'zfs get -Hro value mounted -t filesystem "$1" | sort -u', replica), 'no')
}

test('what OpenZFS 2.1 lacks is refused before anything is touched, and the others of the tree arrive', async () => {
  const source = lab.host('newest')
  await sh(source, createMixed, source.disks[2] as string)
  assert.is(await sh(source, 'zpool get -Ho value feature@longname,feature@large_microzap new | sort -u'), 'active')
  const { outcomes } = await lab.push('newest', 'oldest', 'mixed', { pool: 'new' })
  const ends = Object.fromEntries(outcomes.map(({ step, error, kind }) => [step.source, error?.code ?? kind]))
  const [root, refused] = ['new/flocker/mixed', 'NOT_SUPPORTED']
  assert.equal(ends, { [root]: 'done', [`${root}/long`]: refused, [`${root}/plain`]: 'done', [`${root}/zap`]: refused })
  const list = (host: Host, what: string, of: string) => sh(host, `zfs list -Hro name -t ${what} "$1"`, of)
  const there = await list(lab.host('oldest'), 'filesystem', replicaOf('mixed'))
  assert.is(there, `${replicaOf('mixed')}\n${replicaOf('mixed/plain')}`)
  for (const name of ['long', 'zap']) assert.is(await list(source, 'snapshot', `${root}/${name}`), '')

  kindsOf(await lab.push('newest', 'newest', 'mixed', { pool: 'new' }))
  const names = { filesystems: ['', 'long', 'plain', 'zap'], volumes: [] }
  assert.equal(await sums(source, replicaOf('mixed'), names), await sums(source, root, names))
})

const createMixed = `
  zpool create -O compression=off -O mountpoint=none new "$1"
  zfs create -p -o mountpoint=/srv/new/root new/flocker/mixed
  for i in plain long zap; do zfs create -o mountpoint=/srv/new/$i new/flocker/mixed/$i; done
  zfs set compression=zstd-19 new/flocker/mixed/plain; seq 100000 > /srv/new/plain/numbers
  zfs set longname=on new/flocker/mixed/long; touch /srv/new/long/$(printf "n%.0s" $(seq 400))
  echo 1048576 > /sys/module/zfs/parameters/zap_micro_max_size
  cd /srv/new/zap; for i in $(seq 3000); do : > "$i"; done; zpool sync new`

const children = process.env.FLOCKER_ZFS_CHILDREN
const patience = { timeoutMilliseconds: 3_600_000 }

async function pushMany(from: ProfileName, to: ProfileName): Promise<void> {
  const [volume, count] = [`many-${from}`, children ?? '40']
  const [tree, source] = [`tank/flocker/${volume}`, lab.host(from)]
  const run = (host: Host, script: string, ...args: string[]) =>
    host.run(['sh', '-ec', script, 'sh', ...args, count], patience)
  if ((await source.run(['zfs', 'list', tree], { check: false })).status !== 0) await run(source, createMany, tree)
  else await run(source, changeMany)
  for (const kind of ['full', 'incremental']) {
    const started = performance.now()
    const kinds = kindsOf(await lab.push(from, to, volume, { flags: ['--concurrency', '8'], ...patience }))
    assert.is(kinds.length, Number(count) + 1)
    assert.equal([...new Set(kinds)], [kind])
    console.log(
      `measured: ${kinds.length} ${kind} streams, ${from} to ${to}: ${((performance.now() - started) / 1000).toFixed(1)} s`,
    )
    const { stdout: expected } = await run(source, 'cd /srv/many; cat root c*/file | sha256sum; cat c*/file | wc -l')
    const { stdout: found } = await run(lab.host(to), sumMany, replicaOf(volume))
    assert.is(found, expected)
    if (kind === 'full') await run(source, changeMany)
  }
}

const createMany = `
  zfs create -p -o mountpoint=/srv/many "$1"; date > /srv/many/root
  for i in $(seq "$2"); do zfs create "$1/c$i"; echo "$i, first" > /srv/many/c$i/file; done`

const changeMany = 'for i in $(seq "$1"); do [ $((i % 3)) = 0 ] || echo "$i, changed" >> /srv/many/c$i/file; done'

const sumMany = `
  zfs mount "$1"; for i in $(seq "$2"); do zfs mount "$1/c$i"; done
  cd "$(zfs get -Ho value mountpoint "$1")"; cat root c*/file | sha256sum; cat c*/file | wc -l; cd /
  for i in $(seq "$2"); do zfs unmount "$1/c$i"; done; zfs unmount "$1"`

for (const from of profiles) {
  for (const to of profiles) {
    if (children === undefined && !(from === 'newest' && to === 'oldest')) continue
    test(`from ${from} to ${to}: ${children ?? 40} children`, () => pushMany(from, to))
  }
}

test.run()
