import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Available, choose, type Pin, readEngineRecipe, readRecipe } from '../lab/build/pins.js'
import { LabError } from '../lab/errors.js'

const available: Available[] = [
  { package: 'zfs-dkms', version: '2.4.5-1', suite: 'trixie-backports' },
  { package: 'zfs-dkms', version: '2.3.9-0', suite: 'trixie' },
  { package: 'kmod', version: '30', suite: 'bookworm' },
  { package: 'libzfs8linux', version: '2.5.0-1', suite: 'trixie-backports' },
]
const zfs: Pin = { package: 'zfs-dkms', version: '2.4.4-1', suite: 'trixie-backports' }

function refused(pins: Pin[], unpin: boolean): LabError {
  try {
    choose(pins, available, unpin)
  } catch (error) {
    assert.instance(error, LabError)
    return error as LabError
  }
  throw new Error('nothing was thrown')
}

test('takes the pinned version, and whatever the suite holds of an unpinned package', () => {
  const pins: Pin[] = [
    { ...zfs, version: '2.4.5-1' },
    { package: 'kmod', suite: 'bookworm' },
  ]
  assert.equal(choose(pins, available, false), [
    { package: 'zfs-dkms', version: '2.4.5-1' },
    { package: 'kmod', version: '30' },
  ])
})

test('where a version is gone takes what its suite holds now, and says so', () => {
  const told: string[] = []
  const chosen = choose([zfs], available, false, (pin, version) => told.push(`${pin.version} -> ${version}`))
  assert.equal(chosen, [{ package: 'zfs-dkms', version: '2.4.5-1' }])
  assert.equal(told, ['2.4.4-1 -> 2.4.5-1'])
})

test('names every pin that is gone, what there is now, and what to edit', () => {
  const error = refused(
    [
      { ...zfs, suite: 'bookworm' },
      { package: 'linux-source-7.2', version: '7.2.12-1', suite: 'trixie-backports' },
    ],
    false,
  )
  assert.is(error.code, 'PIN_GONE')
  assert.match(error.message, 'zfs-dkms 2.4.4-1 is gone; there now: 2.4.5-1 (trixie-backports), 2.3.9-0 (trixie)')
  assert.match(error.message, 'linux-source-7.2 7.2.12-1 is gone; no version of it is there now')
  const renamed = refused([{ package: 'libzfs7linux', version: '2.4.4-1', suite: 'trixie-backports' }], true)
  assert.match(renamed.message, 'libzfs7linux 2.4.4-1 is gone; there now: libzfs8linux 2.5.0-1 (trixie-backports)')
  assert.match(error.message, 'test/lab/profiles/pins.json')
})

test('unpinned, takes the version of the right suite', () => {
  assert.equal(choose([zfs], available, true), [{ package: 'zfs-dkms', version: '2.4.5-1' }])
})

test('unpinned, still refuses what no suite has', () => {
  assert.match(refused([{ package: 'kmod', suite: 'trixie' }], true).message, 'kmod of trixie is gone')
})

test('the pins of both profiles can be read', async () => {
  for (const name of ['newest', 'oldest'] as const) {
    const recipe = await readRecipe(name)
    assert.is(recipe.modules.at(-1), 'zfs')
    assert.ok(recipe.userland.some((pin) => pin.package === 'kmod'))
  }
})

test('the pins of the container engines can be read, and hold no library for hosts that every Debian has itself', async () => {
  const { engines, postgres, base, busybox } = await readEngineRecipe()
  const names = [...engines, ...postgres].map((pin) => pin.package)
  for (const name of ['docker.io', 'podman', 'postgresql-15']) assert.ok(names.includes(name), name)
  for (const pin of [...base, ...busybox]) assert.not.ok(names.includes(pin.package), pin.package)
})

test.run()
