import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  getProperties,
  inheritProperty,
  listBookmarks,
  listDatasets,
  listSnapshots,
  mount,
  setProperties,
  unmount,
} from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { all, failure, filled, fresh, pool, zfs } from './pool.js'

async function tree(): Promise<string> {
  const root = fresh()
  for (const name of [root, `${root}/a`, `${root}/a/b`, `${root}/c`]) await lzc.create(name)
  await lzc.create(`${root}/v`, { type: 'volume', properties: { volsize: '8M' } })
  await lzc.snapshot([`${root}@1`, `${root}/a@1`, `${root}/v@1`])
  await lzc.snapshot([`${root}@2`], { 'com.example:n': '2' })
  return root
}

test('datasets are those that zfs list has, with its GUIDs and createtxgs', async () => {
  const root = await tree()
  const ours = (await all(listDatasets(root, { recursive: true })))
    .map(({ name, type, guid, createtxg }) => `${name}\t${type}\t${guid}\t${createtxg}\n`)
    .sort()
  const theirs = await zfs('list', '-Hpro', 'name,type,guid,createtxg', '-t', 'filesystem,volume', root)
  assert.is(
    ours.join(''),
    theirs
      .split(/(?<=\n)/)
      .sort()
      .join(''),
  )
})

test('snapshots are those that zfs list has, oldest first', async () => {
  const root = await tree()
  const ours = (await all(listSnapshots(root, { recursive: true }))).map(
    ({ name, guid, createtxg, creation }) => `${name}\t${guid}\t${createtxg}\t${creation}\n`,
  )
  const theirs = await zfs('list', '-Hpro', 'name,guid,createtxg,creation', '-t', 'snapshot', '-s', 'createtxg', root)
  assert.is(
    [...ours].sort().join(''),
    theirs
      .split(/(?<=\n)/)
      .sort()
      .join(''),
  )
})

test('two hundred snapshots', async () => {
  const name = fresh()
  await lzc.create(name)
  const names = Array.from({ length: 200 }, (_, i) => `s${i}`)
  for (const short of names) await lzc.snapshot([`${name}@${short}`])
  const started = performance.now()
  const listed = await all(listSnapshots(name, { properties: ['used', 'referenced'] }))
  const ours = performance.now() - started
  assert.is(listed.length, names.length)
  const zfsStarted = performance.now()
  await zfs('list', '-Hpo', 'name,guid,createtxg,used,referenced', '-t', 'snapshot', name)
  const theirs = performance.now() - zfsStarted
  console.log(`measured: 200 snapshots listed in ${ours.toFixed(0)} ms, zfs list ${theirs.toFixed(0)} ms`)
})

test('bookmarks', async () => {
  const root = await tree()
  await lzc.bookmark({ [`${root}#two`]: `${root}@2`, [`${root}#one`]: `${root}@1`, [`${root}/a#x`]: `${root}/a@1` })
  const listed = await all(listBookmarks(root))
  const theirs = await zfs('list', '-Hpo', 'guid,createtxg,creation', '-t', 'bookmark', root)
  const ours = listed.map(({ guid, createtxg, creation }) => `${guid}\t${createtxg}\t${creation}\n`)
  assert.is(
    ours.sort().join(''),
    theirs
      .split(/(?<=\n)/)
      .sort()
      .join(''),
  )
})

// What zfs get makes up in user space, or shows in another form than the kernel's.
const notCompared = new Set([
  'snapshots_changed',
  'mlslabel',
  'compressratio',
  'refcompressratio',
  'xattr',
  'usedbysnapshots',
])

test('properties are those of zfs get, with their sources', async () => {
  const root = fresh()
  await zfs('create', '-o', 'compression=zstd-3', '-o', 'quota=100M', '-o', 'atime=off', '-o', 'com.example:u=v', root)
  await zfs('create', `${root}/child`)
  const volume = fresh()
  await zfs('create', '-sV', '8M', volume)
  await zfs('snapshot', `${root}@1`)
  await zfs('clone', `${root}@1`, `${root}/clone`)
  // A transaction group between the two readings would change what is available.
  await lzc.sync(pool)
  for (const name of [root, `${root}/child`, `${root}/clone`, volume, `${root}@1`]) {
    const ours = await getProperties(name)
    for (const line of (await zfs('get', '-Hpo', 'property,value,source', 'all', name)).trimEnd().split('\n')) {
      const [property = '', value = '', source = ''] = line.split('\t')
      if (notCompared.has(property) || ours[property] === undefined) continue
      const limit = value === String(2n ** 64n - 1n) ? 'none' : value
      assert.is(shown(ours[property]?.value), limit, `${name} ${property}`)
      if (source !== '-') assert.is(ours[property]?.source.replace(/^none$/, source), source, `${name} ${property}`)
    }
    for (const property of ['guid', 'createtxg', 'used', 'type', 'creation']) assert.ok(ours[property], property)
  }
})

function shown(value: string | bigint | undefined): string {
  if (value === 2n ** 64n - 1n) return 'none'
  return String(value)
}

test('set and inherit', async () => {
  const name = fresh()
  await lzc.create(name)
  await setProperties(name, { quota: '10M', compression: 'lz4', 'com.example:a': 'b' })
  assert.is(await zfs('get', '-Hpo', 'value', 'quota,compression,com.example:a', name), '10485760\nlz4\nb\n')
  await inheritProperty(name, 'compression')
  assert.is.not(await zfs('get', '-Hpo', 'source', 'compression', name), 'local\n')
})

test('mount and unmount', async () => {
  const name = fresh()
  await lzc.create(name, { properties: { exec: 'off', atime: 'off' } })
  assert.is((await getProperties(name)).mounted?.value, 'no')
  assert.is(await mount(name), `/${name}`)
  assert.is(await mount(name), `/${name}`)
  assert.is((await getProperties(name)).mounted?.value, 'yes')
  const { stdout } = await promisify(execFile)('findmnt', ['-no', 'OPTIONS', `/${name}`])
  assert.match(stdout, /noexec/)
  assert.match(stdout, /noatime/)
  await writeFile(`/${name}/file`, 'x')
  await unmount(name)
  await unmount(name)
  assert.is((await getProperties(name)).mounted?.value, 'no')
  await mount(name, { readonly: true })
  assert.is(
    await writeFile(`/${name}/other`, 'x').then(
      () => 'written',
      (error: NodeJS.ErrnoException) => error.code,
    ),
    'EROFS',
  )
  await unmount(name)
  await setProperties(name, { mountpoint: 'none' })
  assert.is((await failure(mount(name))).code, 'NOT_MOUNTABLE')
  assert.is((await failure(mount(fresh()))).code, 'NOT_FOUND')
})

test('a busy filesystem', async () => {
  const name = await filled(1)
  const { open } = await import('node:fs/promises')
  const file = await open(`/${name}/a0`)
  assert.is((await failure(unmount(name))).code, 'BUSY')
  await file.close()
  await unmount(name)
  assert.ok(await lzc.exists(pool))
})

test.run()
