import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Entry } from '../../src/datasets/batch.js'
import { propertyDefaults } from '../../src/datasets/property-defaults.js'
import { readProperties } from '../../src/datasets/property-reading.js'

const entry = (change: Partial<Entry>): Entry => ({
  name: 'tank/a/b',
  origin: '',
  objectSet: 2,
  isSnapshot: false,
  inconsistent: false,
  createtxg: 5n,
  guid: 7n,
  properties: {},
  ...change,
})
const read = (change: Partial<Entry>, module = '2.4.4', altroots = new Map<string, string>()) =>
  readProperties(entry(change), {
    defaults: propertyDefaults(module),
    mounts: new Map([['tank/a/b', [{ directory: '/mnt', options: new Set(['rw', 'nosuid', 'noatime']) }]]]),
    altroots,
  })

test('sources are those that zfs get tells', () => {
  const properties = read({
    properties: {
      atime: { value: 0n, source: 'tank/a/b' },
      exec: { value: 0n, source: 'tank' },
      quota: { value: 1n, source: '$recvd' },
      used: { value: 9n },
    },
  })
  assert.equal(properties.atime, { value: 'off', source: 'local' })
  assert.equal(properties.exec, { value: 'off', source: 'inherited from tank' })
  assert.equal(properties.quota, { value: 1n, source: 'received' })
  assert.equal(properties.used, { value: 9n, source: 'none' })
  assert.equal(properties.sync, { value: 'standard', source: 'default' })
  assert.equal(properties.guid, { value: 7n, source: 'none' })
  assert.equal(properties.mounted, { value: 'yes', source: 'none' })
})

test('an inherited mountpoint has the rest of the name below it', () => {
  const at = (value: string, source: string) =>
    read({ properties: { mountpoint: { value, source } } }).mountpoint?.value
  assert.is(at('/data', 'tank'), '/data/a/b')
  assert.is(at('/data', 'tank/a'), '/data/b')
  assert.is(at('/', 'tank'), '/a/b')
  assert.is(at('/own', 'tank/a/b'), '/own')
  assert.is(at('none', 'tank'), 'none')
  assert.is(at('legacy', 'tank'), 'legacy')
  assert.equal(read({}).mountpoint, { value: '/tank/a/b', source: 'default' })
})

test('a mountpoint is below the altroot of its pool', () => {
  const at = (value: string, source: string) =>
    read({ properties: { mountpoint: { value, source } } }, '2.4.4', new Map([['tank', '/alt']])).mountpoint?.value
  assert.is(at('/data', 'tank'), '/alt/data/a/b')
  assert.is(at('/', 'tank/a/b'), '/alt')
  assert.is(at('none', 'tank'), 'none')
})

test('options of the mount are temporary values', () => {
  const properties = read({ properties: { exec: { value: 1n, source: 'tank' } } })
  assert.equal(properties.setuid, { value: 'off', source: 'temporary' })
  assert.equal(properties.atime, { value: 'off', source: 'temporary' })
  assert.equal(properties.exec, { value: 'on', source: 'inherited from tank' })
  assert.equal(properties.readonly, { value: 'off', source: 'default' })
})

test('what belongs to another type is left out', () => {
  const properties = {
    atime: { value: 0n, source: 'tank' },
    volsize: { value: 8n },
    devices: { value: 0n, source: 'tank' },
  }
  const volume = read({ objectSet: 3, properties })
  assert.is(volume.atime, undefined)
  assert.equal(volume.volsize, { value: 8n, source: 'local' })
  assert.is(read({ properties }).volsize, undefined)
  assert.is(read({ isSnapshot: true, properties }).devices?.value, 'off')
  assert.is(read({ isSnapshot: true, objectSet: 3, properties }).devices, undefined)
})

test('defaults are those of the type and the release', () => {
  assert.is(read({}, '2.1.11').compression?.value, 'off')
  assert.is(read({}, '2.4.4').compression?.value, 'on')
  assert.is(read({ objectSet: 3 }).atime, undefined)
  assert.is(read({ isSnapshot: true, name: 'tank@1' }).compression, undefined)
  assert.is(read({ isSnapshot: true, name: 'tank@1' }).type?.value, 'snapshot')
})

test.run()
