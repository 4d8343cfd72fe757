/** What a user who isn't root may do: nothing but look, and what `zfs allow` gives. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type * as datasets from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { refusal } from '../conformance/streams.js'
import { collect, filled, fresh, pool, zfs } from './pool.js'

const user = 61234
const { PATH, LD_PRELOAD, ASAN_OPTIONS } = process.env
// The latter two: where the addon is built for a sanitizer.
const env = { PATH, LD_PRELOAD, ASAN_OPTIONS }
const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
const child = spawn(process.execPath, [require.resolve('./delegated-user.js')], { uid: user, gid: user, env, stdio })
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()

type Name = keyof typeof lzc | keyof typeof datasets

/** What that user's call came to: `ok`, or an error's code. */
async function as(name: Name, ...args: unknown[]): Promise<string> {
  child.stdin.write(`${JSON.stringify({ name, args })}\n`)
  return (await answers.next()).value
}

test.after(() => {
  child.stdin.end()
})

interface Fixture {
  root: string
  key: Buffer
  stream: Buffer
}

/** Below a root: a filesystem with a snapshot, a bookmark and a clone, an encrypted one with a snapshot, and half a received one. */
async function fixture(): Promise<Fixture> {
  const [root, large] = [fresh(), await filled(1)]
  const key = randomBytes(32)
  await lzc.create(root)
  await lzc.create(`${root}/fs`)
  await lzc.snapshot(`${root}/fs@1`)
  await lzc.bookmark({ [`${root}/fs#b`]: `${root}/fs@1` })
  await lzc.clone(`${root}/fs@1`, `${root}/clone`)
  await lzc.create(`${root}/secret`, { properties: { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }, key })
  await lzc.snapshot(`${root}/secret@1`)
  await lzc.unloadKey(`${root}/secret`)
  await zfs('snapshot', `${large}@1`)
  const whole = await collect(lzc.send(`${large}@1`))
  await refusal(whole.subarray(0, whole.length >> 1), `${root}/partial@1`, { resumable: true })
  return { root, key, stream: await collect(lzc.send(`${root}/fs@1`)) }
}

/** Each call with the permissions that it needs. */
const delegable: [string, Name, (fixture: Fixture) => unknown[]][] = [
  ['create,mount', 'create', ({ root }) => [`${root}/new`]],
  ['create,mount,compression', 'create', ({ root }) => [`${root}/packed`, { properties: { compression: 'lz4' } }]],
  ['create,mount', 'create', ({ root }) => [`${root}/volume`, { type: 'volume', properties: { volsize: '1M' } }]],
  ['snapshot', 'snapshot', ({ root }) => [`${root}/fs@2`]],
  ['snapshot,userprop', 'snapshot', ({ root }) => [`${root}/packed@1`, { 'com.example:a': 'b' }]],
  ['rename,mount,create', 'rename', ({ root }) => [`${root}/packed@1`, `${root}/packed@2`]],
  ['userprop', 'setProperties', ({ root }) => [`${root}/fs`, { 'com.example:a': 'b' }]],
  ['userprop', 'inheritProperty', ({ root }) => [`${root}/fs`, 'com.example:a']],
  ['quota', 'setProperties', ({ root }) => [`${root}/fs`, { quota: '100M' }]],
  ['compression', 'setProperties', ({ root }) => [`${root}/fs`, { compression: 'lz4' }]],
  ['compression', 'inheritProperty', ({ root }) => [`${root}/fs`, 'compression']],
  ['readonly,userprop', 'setProperties', ({ root }) => [`${root}/fs`, { readonly: 'off', 'com.example:a': 'b' }]],
  ['bookmark', 'bookmark', ({ root }) => [{ [`${root}/fs#new`]: `${root}/fs@1` }]],
  ['hold', 'hold', ({ root }) => [{ [`${root}/fs@1`]: 'mine' }]],
  ['hold', 'hold', ({ root }) => [{ [`${root}/fs@1`]: 'for now' }, { temporary: true }]],
  ['release', 'release', ({ root }) => [{ [`${root}/fs@1`]: 'mine' }]],
  ['send', 'send', ({ root }) => [`${root}/fs@1`]],
  ['send', 'send', ({ root }) => [`${root}/secret@1`, { flags: { raw: true } }]],
  ['receive,create,mount', 'receive', ({ root, stream }) => [`${root}/received@1`, stream]],
  ['clone,create,mount', 'clone', ({ root }) => [`${root}/fs@1`, `${root}/clone2`]],
  ['rename,create,mount', 'rename', ({ root }) => [`${root}/clone2`, `${root}/clone3`]],
  ['load-key', 'loadKey', ({ root, key }) => [`${root}/secret`, key]],
  [
    'change-key,mount',
    'changeKey',
    ({ root, key }) => [`${root}/secret`, { command: 'new', key, properties: { keyformat: 'raw' } }],
  ],
  ['load-key', 'unloadKey', ({ root }) => [`${root}/secret`]],
  ['rollback,mount', 'rollback', ({ root }) => [`${root}/fs`]],
  ['destroy,mount', 'destroySnapshots', ({ root }) => [[`${root}/fs@2`]]],
  ['rollback,mount', 'rollbackTo', ({ root }) => [`${root}/fs`, `${root}/fs@1`]],
  ['destroy', 'destroyBookmarks', ({ root }) => [[`${root}/fs#new`]]],
  ['promote,mount', 'promote', ({ root }) => [`${root}/clone`]],
  ['destroy,mount', 'destroy', ({ root }) => [`${root}/received@1`]],
  ['destroy,mount', 'destroy', ({ root }) => [`${root}/received`]],
  ['destroy,mount', 'destroy', ({ root }) => [`${root}/volume`]],
  ['destroy,mount', 'discardPartialReceive', ({ root }) => [`${root}/partial`]],
]

test('what can be delegated is refused without permission, and works with it', async () => {
  const given = await fixture()
  const { root } = given
  for (const [permissions, name, args] of delegable) {
    assert.is(await as(name, ...args(given)), 'PERMISSION_DENIED', `${name} without permission`)
    await zfs('allow', '-u', String(user), permissions, root)
    assert.is(await as(name, ...args(given)), 'ok', `${name} with ${permissions}`)
    await zfs('unallow', '-u', String(user), root)
  }
})

test('a permission for one thing is none for what goes with it', async () => {
  const { root } = await fixture()
  await zfs('allow', '-u', String(user), 'snapshot,create,mount,clone,rename,receive,userprop', root)
  assert.is(await as('setProperties', `${root}/fs`, { 'com.example:a': 'b', quota: '1G' }), 'PERMISSION_DENIED')
  assert.is(await as('getProperties', `${root}/fs`), 'ok')
  assert.is(await as('destroy', `${root}/clone`), 'PERMISSION_DENIED')
  assert.is(await as('promote', `${root}/clone`), 'PERMISSION_DENIED')
  assert.is(await as('hold', { [`${root}/fs@1`]: 'x' }), 'PERMISSION_DENIED')
  assert.is(await as('clone', `${root}/fs@1`, `${pool}/elsewhere`), 'PERMISSION_DENIED')
  assert.is(await as('rename', `${root}/clone`, `${pool}/elsewhere`), 'PERMISSION_DENIED')
})

test('limits on the number of snapshots and filesystems bind an ordinary user', async () => {
  const { root } = await fixture()
  await zfs('allow', '-u', String(user), 'snapshot,create,mount', root)
  await zfs('create', '-o', 'snapshot_limit=1', '-o', 'filesystem_limit=1', `${root}/limited`)
  assert.is(await as('snapshot', `${root}/limited@1`), 'ok')
  assert.is(await as('snapshot', `${root}/limited@2`), 'QUOTA')
  assert.is(await as('create', `${root}/limited/1`), 'ok')
  assert.is(await as('create', `${root}/limited/2`), 'QUOTA')
})

test('Linux lets nobody but root mount, whatever zfs allow says', async () => {
  const { root } = await fixture()
  await zfs('allow', '-u', String(user), 'mount', root)
  await mkdir(`/${root}/fs`, { recursive: true })
  assert.is(await as('mount', `${root}/fs`), 'PERMISSION_DENIED')
  assert.is(await as('mountAll', `${root}/fs`), 'PERMISSION_DENIED')
  await zfs('mount', `${root}/fs`)
  assert.is(await as('mount', `${root}/fs`), 'ok', 'it is mounted already')
  assert.is(await as('unmount', `${root}/fs`), 'PERMISSION_DENIED')
  assert.is(await as('unmountAll', `${root}/fs`), 'PERMISSION_DENIED')
  await zfs('unmount', `${root}/fs`)
})

test('whoever may open /dev/zfs may look', async () => {
  const { root } = await fixture()
  assert.is(await as('features'), 'ok')
  assert.is(await as('exists', `${root}/fs`), 'ok')
  assert.is(await as('getBookmarks', `${root}/fs`), 'ok')
  assert.is(await as('getBookmarkProps', `${root}/fs#b`), 'ok')
  assert.is(await as('getHolds', `${root}/fs@1`), 'ok')
  assert.is(await as('sendSpace', `${root}/fs@1`), 'ok')
  assert.is(await as('getVdevs', pool), 'ok')
  assert.is(await as('wait', pool, 'scrub'), 'ok')
  assert.is(await as('waitFs', `${root}/fs`, 'deleteq'), 'ok')
  assert.is(await as('sync', pool), 'ok')
  assert.is(await as('getBootenv', pool), 'ok')
  assert.is(await as('waitTag', pool, 'trim', 'ubda'), 'ok')
  assert.is(await as('snaprangeSpace', `${root}/fs@1`, `${root}/fs@1`), 'ok')
  for (const name of ['listDatasets', 'listSnapshots', 'listBookmarks', 'getProperties'] as const) {
    assert.is(await as(name, root), 'ok', name)
  }
  for (const name of ['getReceivedProperties', 'readResumeToken'] as const) {
    assert.is(await as(name, `${root}/partial`), 'ok', name)
  }
  assert.is(await as('listPools'), 'ok')
  assert.is(await as('getPool', pool), 'ok')
  assert.is(await as('getPoolProps', pool), lzc.features().lzc_get_props ? 'ok' : 'NOT_SUPPORTED')
  assert.is(await as('getVdevProps', pool, 'ubda'), lzc.features().lzc_get_vdev_prop ? 'ok' : 'NOT_SUPPORTED')
})

test('what concerns a whole pool is for root alone', async () => {
  const { root } = await fixture()
  const optional = (name: lzc.LzcFunction): string => (lzc.features()[name] ? 'PERMISSION_DENIED' : 'NOT_SUPPORTED')
  assert.is(await as('channelProgram', pool, 'return 1'), 'PERMISSION_DENIED')
  assert.is(await as('channelProgramNosync', pool, 'return 1'), 'PERMISSION_DENIED')
  assert.is(await as('poolCheckpoint', pool), 'PERMISSION_DENIED')
  assert.is(await as('poolCheckpointDiscard', pool), 'PERMISSION_DENIED')
  assert.is(await as('initialize', pool, 'start'), 'PERMISSION_DENIED')
  assert.is(await as('trim', pool, 'start'), 'PERMISSION_DENIED')
  assert.is(await as('reopen', pool), 'PERMISSION_DENIED')
  assert.is(await as('setBootenv', pool, {}), 'PERMISSION_DENIED')
  assert.is(await as('redact', `${root}/fs@1`, 'x', [`${root}/fs@1`]), 'PERMISSION_DENIED')
  assert.is(await as('scrub', pool, 'start'), optional('lzc_scrub'))
  assert.is(await as('setVdevProps', pool, 'ubda', { comment: 'x' }), optional('lzc_set_vdev_prop'))
  assert.is(await as('poolPrefetch', pool, 'ddt'), optional('lzc_pool_prefetch'))
  assert.is(await as('ddtPrune', pool, { percentage: 1 }), optional('lzc_ddt_prune'))
})

test.run()
