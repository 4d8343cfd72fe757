/** Mounts beside those of the zfs command. */
import { execFile } from 'node:child_process'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties, mount, mountAll, setProperties, unmount, unmountAll } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, eventually, failure, filled, fresh, pool, zfs } from './pool.js'

const sh = (script: string): Promise<unknown> => promisify(execFile)('sh', ['-ec', script])

/** What the kernel tells of a dataset's mount: where, and the options. */
async function mounted(dataset: string): Promise<[string, string[]] | undefined> {
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [device, directory = '', , options = ''] = line.split(' ')
    if (device === dataset) return [directory, options.split(',').sort()]
  }
  return undefined
}

async function filesystem(properties: Record<string, string> = {}): Promise<string> {
  const name = fresh()
  await lzc.create(name, { properties })
  return name
}

test('options are those of zfs mount, for every property that has one', async () => {
  const choices: Record<string, string>[] = [
    {},
    { atime: 'off' },
    { relatime: 'on' },
    { relatime: 'off' },
    { exec: 'off', setuid: 'off', devices: 'off' },
    { readonly: 'on' },
    { xattr: 'off' },
    { xattr: 'sa' },
    { nbmand: 'on' },
    { acltype: 'posix' },
    { canmount: 'noauto' },
    { mountpoint: `/elsewhere-${process.pid}` },
  ]
  for (const properties of choices) {
    const name = await filesystem(properties)
    await zfs('mount', name)
    const theirs = await mounted(name)
    await zfs('unmount', name)
    assert.is(await mount(name), theirs?.[0])
    assert.equal(await mounted(name), theirs, JSON.stringify(properties))
    assert.is(await mount(name), theirs?.[0])
    await unmount(name)
    assert.is(await mounted(name), undefined)
    await unmount(name)
  }
})

test('options for one mount alone', async () => {
  const name = await filesystem()
  const options = { readonly: true, exec: false, setuid: false, devices: false, atime: false, xattr: false }
  await zfs('mount', '-o', 'ro,noexec,nosuid,nodev,noatime,noxattr', name)
  const theirs = await mounted(name)
  await zfs('unmount', name)
  await mount(name, options)
  assert.equal(await mounted(name), theirs)
  const read = await getProperties(name)
  for (const property of ['readonly', 'exec', 'setuid', 'devices', 'atime', 'xattr']) {
    assert.is(read[property]?.source, 'temporary', property)
    assert.is(await zfs('get', '-Hpo', 'value,source', property, name), `${read[property]?.value}\ttemporary\n`)
  }
  await unmount(name)
})

test('what can not be mounted', async () => {
  const volume = fresh()
  await lzc.create(volume, { type: 'volume', properties: { volsize: '8M' } })
  const partial = fresh()
  const source = await filesystem()
  await mount(source)
  await sh(`dd if=/dev/urandom of=/${source}/x bs=64k count=16 2>/dev/null; zfs snapshot ${source}@1`)
  await sh(`zfs send ${source}@1 | head -c 300000 | zfs receive -s ${partial} || true`)
  const refused = [
    volume,
    partial,
    await filesystem({ mountpoint: 'none' }),
    await filesystem({ mountpoint: 'legacy' }),
    await filesystem({ canmount: 'off' }),
    await filesystem({ zoned: 'on' }),
  ]
  for (const name of refused) {
    const error = await failure(mount(name))
    assert.is(error.code, 'NOT_MOUNTABLE', name)
    assert.is(error.dataset, name)
    assert.is(await mounted(name), undefined)
  }
  assert.is((await failure(mount(fresh()))).code, 'NOT_FOUND')
})

test('an encrypted filesystem, without its key and with it', async () => {
  const name = fresh()
  await sh(`echo 12345678901 | zfs create -o encryption=on -o keyformat=passphrase ${name}`)
  await unmount(name)
  await sh(`zfs unload-key ${name}`)
  assert.is((await failure(mount(name))).code, 'KEY_NOT_LOADED')
  assert.equal(await mountAll(name), [])
  await sh(`echo 12345678901 | zfs load-key ${name}`)
  assert.is(await mount(name), `/${name}`)
})

test('a filesystem that is being received', async () => {
  const [from, to] = [await filled(2), fresh()]
  await lzc.snapshot(`${from}@1`)
  const stream = await collect(lzc.send(`${from}@1`))
  const receiving = lzc.receive(`${to}@1`)
  await new Promise((resolve) => receiving.write(stream.subarray(0, 400_000), resolve))
  await eventually(() => lzc.exists(to))
  assert.is((await failure(mount(to))).code, 'BUSY')
  receiving.end(stream.subarray(400_000))
  await receiving.result
  assert.is(await mount(to), `/${to}`)
  await unmount(to)
})

test('a tree: it is not there, or a signal has fired', async () => {
  const root = await tree()
  const signal = AbortSignal.abort()
  for (const call of [mountAll, unmountAll]) {
    assert.is((await failure(call(fresh()))).code, 'NOT_FOUND')
    assert.is((await failure(call(root, { signal }))).code, 'ABORTED')
  }
  assert.is(await mounted(root), undefined)
})

test('a directory that is not empty', async () => {
  const name = await filesystem({ overlay: 'off' })
  await mkdir(`/${name}`, { recursive: true })
  await writeFile(`/${name}/file`, 'x')
  assert.is((await failure(mount(name))).code, 'NOT_EMPTY')
  assert.is(await mounted(name), undefined)
  await mount(name, { overlay: true })
  await unmount(name)
  await setProperties(name, { overlay: 'on' })
  await mount(name)
  await unmount(name)
  assert.is(await readFile(`/${name}/file`, 'utf8'), 'x')
})

test('a directory that can not be made', async () => {
  const file = `/file-${process.pid}`
  await writeFile(file, 'x')
  const name = await filesystem({ mountpoint: `${file}/below` })
  const error = await failure(mount(name))
  assert.is(error.code, 'NOT_MOUNTABLE')
  assert.match(error.message, /ENOTDIR/)
  await lzc.destroy(name)
})

test('a snapshot mounted in .zfs does not stand in the way', async () => {
  const name = await filesystem()
  await mount(name)
  await lzc.snapshot([`${name}@1`])
  await sh(`ls /${name}/.zfs/snapshot/1/ > /dev/null`)
  await unmount(name)
  assert.is(await mounted(name), undefined)
  assert.is(await mounted(`${name}@1`), undefined)
})

async function tree(): Promise<string> {
  const root = await filesystem()
  await lzc.create(`${root}/a`)
  await lzc.create(`${root}/a/b`)
  await lzc.create(`${root}/off`, { properties: { canmount: 'off' } })
  await lzc.create(`${root}/off/below`)
  await lzc.create(`${root}/noauto`, { properties: { canmount: 'noauto' } })
  await lzc.create(`${root}/none`, { properties: { mountpoint: 'none' } })
  await lzc.create(`${root}/legacy`, { properties: { mountpoint: 'legacy' } })
  // Its directory is below that of its sibling, which comes after it by name.
  await lzc.create(`${root}/Z`, { properties: { mountpoint: `/${root}/a/b/inner` } })
  await lzc.create(`${root}/vol`, { type: 'volume', properties: { volsize: '8M' } })
  return root
}

const mountedOnes = ['', '/Z', '/a', '/a/b', '/off/below']

test('a whole tree, in the order of its directories, as zfs mount -a does it', async () => {
  const root = await tree()
  const below = (names: string[]): string[] => names.map((name) => name.slice(root.length)).sort()
  await zfs('mount', '-a')
  const theirs: string[] = []
  for (const line of (await zfs('mount')).split('\n')) {
    const [name = ''] = line.split(' ')
    if (name === root || name.startsWith(`${root}/`)) theirs.push(name)
  }
  assert.equal(below(theirs), mountedOnes)
  assert.equal(await mountAll(root), [])
  assert.equal(below(await unmountAll(root)), mountedOnes)
  assert.equal(await unmountAll(root), [])
  const done = await mountAll(root)
  assert.equal(below(done), mountedOnes)
  assert.ok(done.indexOf(`${root}/a/b`) < done.indexOf(`${root}/Z`))
  for (const name of done) await writeFile(`${(await mounted(name))?.[0]}/file`, name)
  await unmountAll(root)
  await mountAll(root)
  for (const name of done) assert.is(await readFile(`${(await mounted(name))?.[0]}/file`, 'utf8'), name)
  await mount(`${root}/noauto`)
  assert.equal(await unmountAll(`${root}/noauto`), [])
  await unmount(`${root}/noauto`)
  await unmountAll(root)
})

test('the others of a tree are mounted and unmounted where one can not be', async () => {
  const root = await tree()
  await setProperties(`${root}/a`, { overlay: 'off' })
  await mkdir(`/${root}/a`, { recursive: true })
  await mount(root)
  await mkdir(`/${root}/a`)
  await writeFile(`/${root}/a/file`, 'x')
  await unmount(root)
  const error = await failure(mountAll(root))
  assert.instance(error, lzc.ManyError)
  assert.equal([...(error as lzc.ManyError).failures.keys()], [`${root}/a`])
  assert.is(error.code, 'NOT_EMPTY')
  for (const name of ['/a', '/a/b', '/Z']) assert.is(await mounted(`${root}${name}`), undefined, name)
  for (const name of ['', '/off/below']) assert.ok(await mounted(`${root}${name}`), name)
  const file = await open(`/${root}/off/below/file`, 'w')
  try {
    const busy = (await failure(unmountAll(root))) as lzc.ManyError
    assert.equal([...busy.failures].map(([name, { code }]) => `${name} ${code}`).sort(), [
      `${root} BUSY`,
      `${root}/off/below BUSY`,
    ])
  } finally {
    await file.close()
  }
  assert.equal((await unmountAll(root)).length, 2)
  assert.is((await failure(mountAll(fresh()))).code, 'NOT_FOUND')
})

test('a pool that was imported read-only', async () => {
  const name = `ro${process.pid}`
  await sh(`truncate -s 100M /var/tmp/${name}; zpool create ${name} /var/tmp/${name}; zpool export ${name}`)
  await sh(`zpool import -N -o readonly=on -d /var/tmp/${name} ${name}`)
  try {
    await mount(name)
    assert.ok((await mounted(name))?.[1].includes('ro'))
  } finally {
    await sh(`zpool destroy ${name} || zpool export ${name}; rm /var/tmp/${name}`)
  }
  assert.ok(await lzc.exists(pool))
})

test.run()
