/** Pools beside those of `zpool list`, `zpool status` and `zpool get`. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getPool, listPools, type Pool, type Vdev } from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import { eventually, failure, pool } from './pool.js'

const directory = `/var/tmp/pools-${process.pid}`
const name = `many${process.pid}`

async function sh(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-ec', script])
  return stdout
}

const columns = 'size,allocated,free,capacity,fragmentation,freeing,leaked,expandsize,dedupratio,health,guid'

test.before(async () => {
  const file = (number: number): string => `${directory}/f${number}`
  await sh(`mkdir ${directory}; cd ${directory}; for i in 1 2 3 4 5 6 7 8 9 10; do truncate -s 200M f$i; done`)
  await sh(
    `zpool create -f -O mountpoint=/${name} -o feature@large_dnode=disabled ${name} mirror ${file(1)} ${file(2)} ` +
      `raidz1 ${file(3)} ${file(4)} ${file(5)} log ${file(6)} cache ${file(7)} spare ${file(8)} special mirror ${file(9)} ${file(10)}`,
  )
  await sh(`dd if=/dev/urandom of=/${name}/x bs=1M count=20 2>/dev/null; zpool sync ${name}`)
})

test.after(async () => {
  await sh(`zpool destroy ${name}; rm -r ${directory}`)
})

/** Every line of the status's tree that has a state: name, state, and the errors, which spares have none of. */
async function statusLines(): Promise<string[]> {
  const lines = (await sh(`zpool status -pP ${name}`)).split('\n')
  const rows = lines
    .slice(lines.findIndex((line) => /NAME +STATE/.test(line)) + 1)
    .map((line) => line.trim().split(/ +/))
  return rows
    .filter(([first, state = '']) => first !== name && /^[A-Z]+$/.test(state))
    .map((row) => row.slice(0, 5).join(' '))
}

function ourLines({ vdevs, cache, spares }: Pool): string[] {
  const line = ({ name: own, state, errors }: Vdev): string =>
    [own, state, ...(/AVAIL|INUSE/.test(state) ? [] : [errors.read, errors.write, errors.checksum])].join(' ')
  const tree = (vdev: Vdev): string[] => [line(vdev), ...vdev.children.flatMap(tree)]
  return [...vdevs, ...cache, ...spares].flatMap(tree)
}

async function compare(): Promise<Pool> {
  const own = await getPool(name)
  assert.equal(ourLines(own).sort(), (await statusLines()).sort())
  const [size, allocated, free, capacity, fragmentation, freeing, leaked, expandable, dedup, health, guid] = (
    await sh(`zpool list -Hpo ${columns} ${name}`)
  )
    .trimEnd()
    .split('\t')
  assert.is(own.health, health)
  assert.is(String(own.guid), guid)
  const { space } = await getPool(name)
  assert.equal(
    [space.size, space.allocated, space.free, space.capacity, space.fragmentation, space.freeing, space.leaked].map(
      String,
    ),
    [size, allocated, free, capacity, fragmentation, freeing, leaked],
  )
  assert.is(expandable, '-')
  assert.is(space.expandable, 0n)
  assert.is((Number(space.dedupRatio) / 100).toFixed(2), dedup)
  return own
}

test('a healthy pool of every kind of vdev', async () => {
  const own = await compare()
  assert.is(own.health, 'ONLINE')
  assert.is(own.scan, undefined)
  assert.is(own.errorCount, 0n)
  assert.is(own.openErrno, undefined)
  assert.equal(
    own.vdevs.map(({ role }) => role),
    ['data', 'data', 'log', 'special'],
  )
  const file = own.vdevs[0]?.children[0]
  assert.is(file?.path, `${directory}/f1`)
  assert.is(file?.physicalSize, 200n << 20n)
  assert.is(file?.ashift, undefined)
  assert.is(own.vdevs[0]?.ashift, 9)
  assert.is(own.cache[0]?.physicalSize, 200n << 20n)
})

test("the sizes of a pool's vdevs", async () => {
  const read = async (): Promise<{ ours: string[]; theirs: string[] }> => {
    const rows = (await sh(`zpool list -HpvP ${name}`)).split('\n').map((line) => line.split('\t'))
    const { vdevs, cache } = await getPool(name)
    const own = new Map([...vdevs, ...cache].map((vdev) => [vdev.name, vdev]))
    const listed = rows.filter(([, vdev = '']) => own.has(vdev))
    assert.is(listed.length, own.size)
    return {
      ours: listed.map(([, vdev = '']) => {
        const { allocated, fragmentation, children, size } = own.get(vdev) as Vdev
        return [vdev, allocated, fragmentation ?? '-', children.length > 0 ? size : ''].join(' ')
      }),
      theirs: listed.map(([, vdev = '', size, allocated, , , , fragmentation]) =>
        [vdev, allocated, fragmentation, own.get(vdev)?.children.length === 0 ? '' : size].join(' '),
      ),
    }
  }
  // The kernel fills the cache when it sees fit: also between the two readings.
  await eventually(async () => {
    const { ours, theirs } = await read()
    return ours.join() === theirs.join()
  }, 10_000).catch(async () => {
    const { ours, theirs } = await read()
    assert.equal(ours, theirs)
  })
})

test('features', async () => {
  const { features } = await getPool(name)
  const lines = (await sh(`zpool get -Hpo property,value all ${name} | grep ^feature@`)).trimEnd().split('\n')
  assert.ok(lines.length > 30)
  for (const line of lines) {
    const [property = '', value] = line.split('\t')
    assert.is(features[property.slice('feature@'.length)] ?? 'disabled', value, property)
  }
  assert.is(features.large_dnode, undefined)
  assert.is(features.lz4_compress, 'active')
})

test('damage that a scrub mends', async () => {
  // All between the labels: how much of the data a mirror gets, and where, depends on how busy its disks were.
  await sh(`dd if=/dev/urandom of=${directory}/f1 bs=1M seek=4 count=194 conv=notrunc 2>/dev/null; zpool scrub ${name}`)
  assert.ok((await getPool(name)).scan?.kind === 'scrub')
  await eventually(async () => (await getPool(name)).scan?.state === 'finished', 30_000)
  const own = await compare()
  const { scan } = own
  assert.ok((scan?.repaired ?? 0n) > 0n)
  assert.ok((scan?.endTime ?? 0n) >= (scan?.startTime ?? 1n))
  assert.is(scan?.errors, 0n)
  assert.is(scan?.paused, false)
  const damaged = own.vdevs[0]?.children[0]
  assert.ok((damaged?.errors.checksum ?? 0n) > 0n)
  assert.ok((damaged?.repaired ?? 0n) > 0n)
})

test('devices that are offline and faulted', async () => {
  await sh(`zpool offline ${name} ${directory}/f2; zpool offline -f ${name} ${directory}/f4`)
  const own = await compare()
  assert.is(own.health, 'DEGRADED')
  assert.is(own.vdevs[0]?.children[1]?.state, 'OFFLINE')
  assert.is(own.vdevs[1]?.children[1]?.state, 'FAULTED')
  assert.is(own.vdevs[1]?.children[1]?.reason, 'external device fault')
})

test('names', async () => {
  assert.equal(await listPools(), [name, pool].sort())
  assert.is((await failure(getPool('nosuchpool'))).code, 'NOT_FOUND')
  assert.instance(await failure(getPool(`${name}/a`)), ArgumentError)
})

test.run()
