/** Properties beside those of `zfs get`, on every kind of dataset. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  getProperties,
  getReceivedProperties,
  inheritProperty,
  listBookmarks,
  listDatasets,
  listSnapshots,
  type PropertyValue,
  setProperties,
} from '../../src/datasets/index.js'
import { AbortError, ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { nativeProperty, propertyTable } from '../../src/lzc/property-table.js'
import { all, failure, fresh, pool, zfs } from './pool.js'

const oldest = process.env.TEST_PROFILE === 'oldest'

const sh = (script: string): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)('sh', ['-ec', script], { maxBuffer: 1 << 26 })

/** Real ones that `zfs get all` has no line for. */
const hidden = new Set(['name', 'prevsnap', 'unique', 'useraccounting', 'ivsetguid', 'keyguid', 'pbkdf2salt'])

const unlimited = String(2n ** 64n - 1n)

/** A value as the newest `zfs get -p` prints it. */
function ours(name: string, { value }: PropertyValue): string {
  if (/ratio$/.test(name)) return (Number(value) / 100).toFixed(2)
  return String(value) === unlimited ? 'none' : String(value)
}

/** The oldest one calls things by other names. */
function theirs(name: string, value: string): string {
  if (oldest && name === 'xattr' && value === 'on') return 'dir'
  return value === unlimited ? 'none' : value
}

async function command(name: string, ...options: string[]): Promise<Map<string, string>> {
  const lines = (await zfs('get', '-Hpo', 'property,value,source', ...options, 'all', name)).trimEnd().split('\n')
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [property = '', value = '', source = ''] = line.split('\t')
      return value === '-' ? [] : [[property, `${theirs(property, value)} (${source})`]]
    }),
  )
}

function shown(properties: Readonly<Record<string, PropertyValue>>): Map<string, string> {
  return new Map(
    Object.entries(properties)
      .filter(([name]) => !hidden.has(name))
      .map(([name, read]) => [name, `${ours(name, read)} (${read.source === 'none' ? '-' : read.source})`]),
  )
}

function differences(dataset: string, own: Map<string, string>, other: Map<string, string>): string[] {
  // Volumes have no use for it before 2.4.
  if (oldest) for (const map of [own, other]) map.delete('special_small_blocks')
  return [...new Set([...own.keys(), ...other.keys()])]
    .filter((name) => own.get(name) !== other.get(name))
    .map((name) => `${dataset} ${name}: ${own.get(name)}, zfs get: ${other.get(name)}`)
}

const create = (name: string, ...options: string[]): Promise<string> =>
  zfs('create', ...options.flatMap((option) => (option.startsWith('-') ? option.split(' ') : ['-o', option])), name)

/** Filesystems, volumes, clones, encrypted and received ones, and their snapshots, with properties of every kind and source. */
async function everyKind(): Promise<string> {
  const root = fresh()
  await create(root, 'compression=zstd-3', 'quota=100M', 'atime=off', 'com.example:u=v', 'recordsize=16K', 'copies=2')
  await zfs('set', 'snapshot_limit=500', 'sharenfs=off', 'special_small_blocks=4K', root)
  await create(`${root}/child`, 'refquota=50M', 'com.example:own=x y', 'dedup=sha256,verify', 'checksum=sha512')
  await create(`${root}/legacy`, 'mountpoint=legacy', 'logbias=throughput', 'redundant_metadata=most')
  await create(`${root}/none`, 'mountpoint=none', 'canmount=off', 'compression=gzip-7', 'reservation=1M')
  await create(`${root}/none/below`, 'compression=zstd-fast-20', 'aclinherit=passthrough-x', 'aclmode=groupmask')
  await create(
    `${root}/odd`,
    'casesensitivity=mixed',
    'normalization=formD',
    'utf8only=on',
    'xattr=sa',
    'acltype=posix',
  )
  await zfs(
    'set',
    'dnodesize=auto',
    'relatime=on',
    'sync=disabled',
    'snapdir=visible',
    'mountpoint=/o d',
    `${root}/odd`,
  )
  await create(`${root}/tight`, 'readonly=on', 'devices=off', 'setuid=off', 'exec=off', 'primarycache=metadata')
  await create(`${root}/volume`, '-V 8M', 'volblocksize=16K', 'com.example:v=1')
  await create(`${root}/sparse`, '-sV 8M', 'volmode=dev', 'snapdev=visible')
  await sh(`echo 12345678901 | zfs create -o encryption=on -o keyformat=passphrase ${root}/secret`)
  await create(`${root}/secret/child`)
  await zfs('snapshot', '-r', '-o', 'com.example:snap=1', `${root}@1`)
  await sh(`dd if=/dev/urandom of=/${root}/file bs=64k count=16 2>/dev/null; sync`)
  await zfs('snapshot', `${root}@2`)
  await zfs('hold', 'keep', `${root}@2`)
  await zfs('clone', `${root}@1`, `${root}/clone`)
  await zfs('clone', `${root}@1`, `${root}/clone2`)
  await sh(`zfs send -p ${root}@1 | zfs receive -u ${root}/received`)
  await zfs('set', 'atime=on', `${root}/received`)
  await create(`${root}/received/below`)
  await sh(`zfs send ${root}@2 | head -c 300000 | zfs receive -s ${root}/partial || true`)
  await create(`${root}/temporary`, 'exec=off')
  await zfs('unmount', `${root}/temporary`)
  await zfs('mount', '-o', 'ro,exec,noatime,nosuid,nodev', `${root}/temporary`)
  await create(`${root}/unmounted`)
  await zfs('unmount', `${root}/unmounted`)
  await sh(`zfs unmount ${root}/secret/child; zfs unmount ${root}/secret; zfs unload-key ${root}/secret`)
  return root
}

test('every property of every kind of dataset, and its source, is that of zfs get', async () => {
  const root = await everyKind()
  const names = (await zfs('list', '-Hro', 'name', '-t', 'filesystem,volume,snapshot', root)).trimEnd().split('\n')
  assert.ok(names.length > 30)
  const found: string[] = []
  const listed = new Map<string, Record<string, PropertyValue>>()
  const options = { recursive: true, properties: [...Object.keys(propertyTable), 'com.example:u', 'com.example:v'] }
  for await (const { name, properties } of listDatasets(root, options)) listed.set(name, properties)
  for await (const { name, properties } of listSnapshots(root, options)) listed.set(name, properties)
  assert.is(listed.size, names.length)
  for (const name of [pool, ...names]) {
    const other = await command(name)
    found.push(...differences(name, shown(await getProperties(name)), other))
    if (name === pool) continue
    for (const user of ['com.example:own', 'com.example:snap']) other.delete(user)
    found.push(...differences(`listed ${name}`, shown(listed.get(name) ?? {}), other))
  }
  assert.is(found.join('\n'), '')
  const one = await getProperties(root, ['quota', 'com.example:u', 'nosuch', 'casesensitivity'])
  assert.equal(Object.keys(one), ['quota', 'com.example:u', 'casesensitivity'])
})

test('mountpoints are below the altroot of an imported pool', async () => {
  const name = `alt${process.pid}`
  await sh(`truncate -s 100M /var/tmp/${name}; zpool create -R /var/tmp/${name}.d ${name} /var/tmp/${name}`)
  try {
    await create(`${name}/a`, 'mountpoint=/data')
    await create(`${name}/a/b`)
    await create(`${name}/root`, 'mountpoint=/', 'canmount=off')
    await create(`${name}/root/c`)
    const found: string[] = []
    for (const each of [name, `${name}/a`, `${name}/a/b`, `${name}/root`, `${name}/root/c`]) {
      found.push(
        ...differences(each, shown(await getProperties(each, ['mountpoint'])), onlyMountpoint(await command(each))),
      )
    }
    assert.is(found.join('\n'), '')
  } finally {
    await sh(`zpool destroy ${name}; rm -r /var/tmp/${name}*`)
  }
})

const onlyMountpoint = (map: Map<string, string>): Map<string, string> =>
  new Map([...map].filter(([name]) => name === 'mountpoint'))

test('the table of properties is that of the zfs command', async () => {
  const { stdout } = await sh('zfs get 2>&1 || true')
  const rows = [...stdout.matchAll(/^\t([a-z_0-9]+) +(YES|NO) +(YES|NO) {3}(.*)$/gm)]
  assert.ok(rows.length > 70, stdout)
  for (const [, name = '', edit, inherit, values = ''] of rows) {
    const property = nativeProperty(name)
    assert.ok(property, name)
    const { attribute = '', kind } = property ?? {}
    assert.is(attribute === 'inherit' || attribute === 'default', edit === 'YES', name)
    assert.is(attribute === 'inherit' || attribute === 'onetime', inherit === 'YES', name)
    // Its values are told as yes and no, and printed as on and off.
    if (typeof kind !== 'object' || name === 'defer_destroy') continue
    for (const value of values.split(' | '))
      if (!/[[\]]/.test(value)) assert.ok(Object.hasOwn(kind, value), `${name} ${value}`)
  }
})

test('what was received, and going back to it', async () => {
  const root = fresh()
  await create(root, 'compression=lz4', 'atime=off', 'com.example:u=v')
  await zfs('snapshot', `${root}@1`)
  const copy = fresh()
  await sh(`zfs send -p ${root}@1 | zfs receive -u -o copies=2 ${copy}`)
  assert.equal({ ...(await getReceivedProperties(root)) }, {})
  const received = await getReceivedProperties(copy)
  for (const line of (await zfs('get', '-Hpo', 'property,received', 'all', copy)).trimEnd().split('\n')) {
    const [property = '', value = ''] = line.split('\t')
    assert.is(String(received[property] ?? '-'), value, property)
  }
  assert.is(received.compression, 'lz4')
  await setProperties(copy, { compression: 'gzip', 'com.example:u': 'own' })
  assert.equal((await getProperties(copy)).compression, { value: 'gzip', source: 'local' })
  assert.is((await getReceivedProperties(copy)).compression, 'lz4')
  for (const name of ['compression', 'com.example:u']) await inheritProperty(copy, name, { received: true })
  const back = await getProperties(copy, ['compression', 'com.example:u', 'atime'])
  assert.equal(back.compression, { value: 'lz4', source: 'received' })
  assert.equal(back['com.example:u'], { value: 'v', source: 'received' })
  await inheritProperty(copy, 'compression')
  assert.equal(differences(copy, shown(await getProperties(copy)), await command(copy)), [])
  assert.is.not((await getProperties(copy)).compression?.source, 'received')
  assert.is((await failure(getReceivedProperties(fresh()))).code, 'NOT_FOUND')
})

test('setting: every settable property of a filesystem and of a volume, as zfs set does it', async () => {
  const values: Record<string, string> = {
    ...{
      aclinherit: 'discard',
      aclmode: 'restricted',
      acltype: 'posix',
      atime: 'off',
      canmount: 'noauto',
      checksum: 'skein',
    },
    ...{ compression: 'zstd-fast-3', copies: '3', dedup: 'verify', devices: 'off', dnodesize: '2k', exec: 'off' },
    ...{ filesystem_limit: '12', logbias: 'throughput', mountpoint: '/elsewhere', nbmand: 'on', overlay: 'off' },
    ...{
      primarycache: 'none',
      quota: '64M',
      readonly: 'on',
      recordsize: '64K',
      redundant_metadata: 'most',
      refquota: '32M',
    },
    ...{
      refreservation: '1M',
      relatime: 'on',
      reservation: '2M',
      secondarycache: 'metadata',
      setuid: 'off',
      snapdev: 'visible',
    },
    ...{
      snapdir: 'visible',
      snapshot_limit: '7',
      special_small_blocks: '8K',
      sync: 'always',
      volmode: 'none',
      vscan: 'on',
    },
    ...{ xattr: 'sa', zoned: 'on', 'com.example:x': 'a b' },
  }
  const pairs = [fresh(), fresh()].map((name): [string, string] => [name, `${name}b`])
  for (const [index, names] of pairs.entries()) {
    for (const name of names) await (index === 0 ? create(name, 'canmount=off') : create(name, '-sV 64M'))
    const [own, other] = names
    const type = index === 0 ? 'f' : 'v'
    const applied = Object.entries(values).filter(([name]) => nativeProperty(name)?.types.includes(type) ?? true)
    // To 2.1, special_small_blocks is of filesystems alone.
    const chosen = applied.filter(([name]) => !(oldest && type === 'v' && name === 'special_small_blocks'))
    await setProperties(own, Object.fromEntries(chosen))
    for (const [name, value] of chosen) await zfs('set', `${name}=${value}`, other)
    const [left, right] = await Promise.all(names.map((name) => command(name)))
    for (const [name] of chosen) assert.is(left?.get(name), right?.get(name), `${type} ${name}`)
  }
})

test('what can not be set or inherited is refused before anything is touched', async () => {
  const name = fresh()
  const volume = fresh()
  await lzc.create(name)
  await lzc.create(volume, { type: 'volume', properties: { volsize: '8M' } })
  await lzc.snapshot([`${name}@1`])
  const refused: [string, Record<string, string>][] = [
    [name, { used: '5' }],
    [name, { utf8only: 'on' }],
    [name, { volsize: '8M' }],
    [name, { mountpoint: 'relative' }],
    [volume, { atime: 'off' }],
    [volume, { volblocksize: '8K' }],
    [`${name}@1`, { compression: 'on' }],
  ]
  for (const [dataset, properties] of refused) {
    assert.instance(await failure(setProperties(dataset, { 'com.example:mark': 'x', ...properties })), ArgumentError)
    assert.is((await getProperties(dataset))['com.example:mark'], undefined)
  }
  for (const property of ['used', 'utf8only', 'quota', 'nosuch', 'NO:such']) {
    assert.instance(await failure(inheritProperty(name, property)), ArgumentError, property)
  }
})

test('bookmarks with properties', async () => {
  const root = fresh()
  await create(root)
  await sh(`dd if=/dev/urandom of=/${root}/file bs=64k count=4 2>/dev/null; zfs snapshot ${root}@1`)
  await zfs('clone', `${root}@1`, `${root}/clone`)
  await sh(`dd if=/dev/urandom of=/${root}/clone/file bs=64k count=4 2>/dev/null; zfs snapshot ${root}/clone@r`)
  await zfs('bookmark', `${root}@1`, `${root}#plain`)
  await zfs('redact', `${root}@1`, 'redacted', `${root}/clone@r`)
  const properties = ['referenced', 'logicalreferenced', 'redact_snaps'] as const
  for await (const { name, properties: read } of listBookmarks(root, { recursive: true, properties })) {
    for (const property of properties) {
      const theirs = (await zfs('get', '-Hpo', 'value', property, name)).trimEnd()
      assert.is(String(read[property]?.value ?? '-'), theirs, `${name} ${property}`)
    }
  }
})

test('depth, and a signal', async () => {
  const root = fresh()
  for (const name of [root, `${root}/a`, `${root}/a/b`, `${root}/a/b/c`]) await lzc.create(name)
  await lzc.snapshot([root, `${root}/a`, `${root}/a/b`, `${root}/a/b/c`].map((name) => `${name}@1`))
  const names = async (items: AsyncIterable<{ name: string }>): Promise<string[]> =>
    (await all(items)).map(({ name }) => name.slice(root.length))
  assert.equal(await names(listDatasets(root, { depth: 2 })), ['', '/a', '/a/b'])
  assert.equal(await names(listSnapshots(root)), ['@1'])
  assert.equal(await names(listSnapshots(root, { depth: 1 })), ['@1', '/a@1'])
  assert.instance(await failure(all(listSnapshots(root, { depth: -1 }))), ArgumentError)
  const controller = new AbortController()
  const seen: string[] = []
  const listing = async (): Promise<void> => {
    for await (const { name } of listDatasets(root, { recursive: true, signal: controller.signal })) {
      seen.push(name)
      if (name === `${root}/a`) controller.abort()
    }
  }
  assert.instance(await failure(listing()), AbortError)
  assert.equal(seen, [root, `${root}/a`])
})

test.run()
