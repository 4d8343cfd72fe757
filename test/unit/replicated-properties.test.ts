/** Which properties go with a stream, and which of them a receiving host lets in. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import { nativeProperty, propertyTable } from '../../src/lzc/property-table.js'
import { admitProperties } from '../../src/replication/admit-properties.js'
import {
  checkPropertyOptions,
  chooseProperties,
  maxSettings,
  type PropertyOptions,
  type Setting,
  sendsProperties,
  tellable,
} from '../../src/replication/choose-properties.js'
import { ruleOf } from '../../src/replication/property-rules.js'
import { readLeftOut } from '../../src/replication/remote-destination.js'
import { mayBring, type Rule } from '../../src/transport/index.js'

const settings = (values: Record<string, string>): Setting[] =>
  Object.entries(values).map(([name, value]) => ({ name, value }))

const own = settings({
  compression: 'lz4',
  quota: '1048576',
  mountpoint: '/srv',
  exec: 'off',
  setuid: 'on',
  'com.example:owner': 'me',
  'com.sun:auto-snapshot': 'true',
})

const chosen = (options: PropertyOptions): string[] | undefined =>
  chooseProperties(options, own).received?.map(({ name }) => name)

test('of every native property it is said what becomes of it', () => {
  const names = (rule: string) => Object.keys(propertyTable).filter((name) => ruleOf(name, 'off') === rule)
  assert.equal(
    names('goes').sort(),
    (
      'aclinherit aclmode acltype atime checksum compression copies devices direct dnodesize exec logbias longname nbmand ' +
      'prefetch primarycache recordsize redundant_metadata relatime secondarycache setuid snapdir sync volthreading vscan xattr'
    ).split(' '),
  )
  assert.equal(
    names('held').sort(),
    (
      'canmount context dedup defcontext filesystem_limit fscontext mountpoint overlay quota readonly refquota refreservation ' +
      'reservation rootcontext sharenfs sharesmb snapdev snapshot_limit special_small_blocks volmode zoned'
    ).split(' '),
  )
  for (const name of names('goes')) assert.match(nativeProperty(name)?.attribute ?? '', /^(inherit|default)$/)
  for (const name of ['keylocation', 'encryption', 'keyformat', 'pbkdf2iters', 'volsize', 'used', 'defaultuserquota'])
    assert.is(ruleOf(name), 'stays')
  for (const name of ['flocker-zfs:pending', 'nosuch', 'toString', 'userquota@me']) assert.is(ruleOf(name), 'stays')
})

test('a right goes only where it is taken away', () => {
  for (const name of ['exec', 'setuid', 'devices']) {
    assert.equal([ruleOf(name, 'off'), ruleOf(name, 'on'), ruleOf(name)], ['goes', 'held', 'held'])
  }
})

test('user properties by which programs act are held back', () => {
  for (const name of [
    'com.sun:auto-snapshot',
    'com.sun:auto-snapshot:daily',
    'org.openzfs.systemd:wanted-by',
    'org.zfsbootmenu:commandline',
    'org.znapzend:pre_znap_cmd',
  ]) {
    assert.is(ruleOf(name, 'x'), 'held', name)
  }
  assert.is(ruleOf('com.example:auto-snapshot', 'x'), 'goes')
})

test('what is safe goes by default; the rest only if it is named in full', () => {
  assert.equal(chosen({}), ['compression', 'exec', 'com.example:owner'])
  assert.equal(chosen({ send: 'none' }), undefined)
  assert.is(sendsProperties({ send: 'none' }), false)
  assert.is(sendsProperties(), true)
  assert.equal(chosen({ send: [] }), [])
  assert.equal(chosen({ send: ['*'] }), ['compression', 'exec', 'com.example:owner'])
  assert.equal(chosen({ send: [/./] }), ['compression', 'exec', 'com.example:owner'])
  assert.equal(chosen({ send: ['quota', 'com.*'] }), ['quota', 'com.example:owner'])
  assert.equal(chosen({ send: ['*', 'quota', 'setuid', 'com.sun:auto-snapshot'], exclude: ['com.example:*'] }), [
    'compression',
    'quota',
    'exec',
    'setuid',
    'com.sun:auto-snapshot',
  ])
  assert.equal(chooseProperties({ override: { quota: 5n, atime: 'off' } }, undefined), {
    overrides: settings({ quota: '5', atime: 'off' }),
  })
})

test('bad options are refused before anything is touched', () => {
  checkPropertyOptions({ send: ['*', 'quota', 'com.example:*', /x/], exclude: ['nosuch'], override: { quota: '1G' } })
  for (const options of [
    { send: 'some' },
    { send: ['keylocation'] },
    { send: ['nosuch'] },
    { send: ['flocker-zfs:pending'] },
    { send: [5] },
    { exclude: [5] },
    { override: { nosuch: '1' } },
    { override: { volsize: '1G' } },
    { override: { encryption: 'on' } },
    { override: { readonly: 'maybe' } },
    { override: { 'com.example:x': 'x'.repeat(8192) } },
    { override: { sharenfs: 'x'.repeat(8192) } },
    { override: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`a:${i}`, 'x'])) },
  ]) {
    assert.throws(
      () => checkPropertyOptions(options as PropertyOptions),
      (error: unknown) => error instanceof ArgumentError,
    )
  }
})

test('what is told to another host is bounded, and leaves out what never goes', () => {
  const { settings: told, cut } = tellable({ keylocation: 'file:///key', quota: 5n, 'flocker-zfs:pending': 'x' })
  assert.equal([told, cut], [settings({ quota: '5' }), []])
  const many = Object.fromEntries(Array.from({ length: maxSettings + 3 }, (_, i) => [`a:${i}`, 'x']))
  assert.equal(tellable(many).cut, ['a:1000', 'a:1001', 'a:1002'])
  const long = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`a:${i}`, '"'.repeat(8191)]))
  const bounded = tellable(long)
  assert.ok(JSON.stringify(bounded.settings).length < 300_000)
  assert.is(bounded.settings.length + bounded.cut.length, 50)
})

test('the receiving host decides for itself, whatever it is sent', () => {
  const sent = {
    received: settings({
      compression: 'lz4',
      recordsize: '16384',
      mountpoint: '/etc',
      keylocation: 'https://example/key',
      encryption: 'on',
      'flocker-zfs:pending': 'beta',
      nosuch: '1',
      __proto__x: '1',
      setuid: 'on',
      devices: 'off',
      checksum: 'never-heard-of',
      'Bad:Name': 'x',
      'com.example:long': 'x'.repeat(8191),
      copies: '99999999999999999999999999',
    }),
    overrides: settings({ readonly: 'off', volthreading: 'off', atime: 'off' }),
  }
  const admitted = admitProperties(sent, 'filesystem', () => false)
  assert.equal(Object.keys(admitted.received ?? {}), ['compression', 'recordsize', 'devices', 'com.example:long'])
  assert.equal({ ...admitted.overrides }, { atime: 'off' })
  assert.equal(Object.fromEntries(admitted.leftOut.map(({ name, why }) => [name, why])), {
    mountpoint: 'not-allowed',
    keylocation: 'never',
    encryption: 'never',
    'flocker-zfs:pending': 'never',
    nosuch: 'never',
    __proto__x: 'never',
    setuid: 'not-allowed',
    checksum: 'bad-value',
    'Bad:Name': 'bad-value',
    copies: 'bad-value',
    readonly: 'not-allowed',
    volthreading: 'other-type',
  })
  const allowed = admitProperties(sent, 'filesystem', () => true)
  assert.equal([allowed.received?.mountpoint, allowed.received?.setuid], ['/etc', 'on'])
  assert.not('keylocation' in (allowed.received ?? {}))
  const volume = admitProperties(sent, 'volume', () => true)
  assert.equal([volume.received?.recordsize, volume.overrides.volthreading], [undefined, 'off'])
  assert.is(admitProperties({ overrides: [] }, 'volume', () => true).received, undefined)
})

test('a rule lets in what it names, of whom and where it says', () => {
  const rules: Rule[] = [
    { peer: 'alpha', verbs: ['receive'], datasets: ['tank/a/**'], properties: ['quota'] },
    { peer: 'alpha', verbs: ['inspect', 'send'], datasets: ['tank/**'], properties: ['mountpoint'] },
    { peer: 'beta', verbs: ['receive'], datasets: ['tank/**'] },
  ]
  assert.ok(mayBring(rules, 'alpha', 'tank/a/b', 'quota'))
  for (const [peer, dataset, property] of [
    ['alpha', 'tank/b', 'quota'],
    ['alpha', 'tank/a', 'refquota'],
    ['alpha', 'tank/a', 'mountpoint'],
    ['beta', 'tank/a', 'quota'],
    ['alpha', 'tank/a/../b', 'quota'],
  ] as const) {
    assert.not(mayBring(rules, peer, dataset, property), `${peer} ${dataset} ${property}`)
  }
})

test('a peer that says nothing of properties has received none; reasons of a later version are refusals', () => {
  const sent = { received: settings({ atime: 'off' }), overrides: settings({ sync: 'always' }) }
  assert.equal(readLeftOut(undefined, sent), [
    { name: 'atime', why: 'not-understood' },
    { name: 'sync', why: 'not-understood' },
  ])
  assert.equal(readLeftOut([{ name: 'atime', why: 'too-late' }], sent), [{ name: 'atime', why: 'refused' }])
  assert.equal(readLeftOut([{ name: 'atime', why: 'never' }], sent), [{ name: 'atime', why: 'never' }])
  assert.equal(readLeftOut(undefined, undefined), [])
  const others = ['\u001b[2J', 'readonly'].map((name) => ({ name, why: 'refused' }))
  assert.equal(readLeftOut(others, sent), [{ name: 'readonly', why: 'refused' }])
})

test.run()
