/** What a user who isn't root may do: nothing but look, and what `zfs allow` gives. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { collect, fresh, pool, zfs } from './pool.js'

const user = 61234
const { PATH, LD_PRELOAD, ASAN_OPTIONS } = process.env
// The latter two: where the addon is built for a sanitizer.
const env = { PATH, LD_PRELOAD, ASAN_OPTIONS }
const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
const child = spawn(process.execPath, [require.resolve('./delegated-user.js')], { uid: user, gid: user, env, stdio })
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()

/** What that user's call came to: `ok`, or an error's code. */
async function as(name: keyof typeof lzc, ...args: unknown[]): Promise<string> {
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

/** Below a root: a filesystem with a snapshot, a bookmark, a hold and a clone, and an encrypted one. */
async function fixture(): Promise<Fixture> {
  const root = fresh()
  const key = randomBytes(32)
  await lzc.create(root)
  await lzc.create(`${root}/fs`)
  await lzc.snapshot(`${root}/fs@1`)
  await lzc.bookmark({ [`${root}/fs#b`]: `${root}/fs@1` })
  await lzc.clone(`${root}/fs@1`, `${root}/clone`)
  await lzc.create(`${root}/secret`, { properties: { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }, key })
  await lzc.unloadKey(`${root}/secret`)
  return { root, key, stream: await collect(lzc.send(`${root}/fs@1`)) }
}

/** Each call with the permissions that it needs. */
const delegable: [string, keyof typeof lzc, (fixture: Fixture) => unknown[]][] = [
  ['create,mount', 'create', ({ root }) => [`${root}/new`]],
  ['snapshot', 'snapshot', ({ root }) => [`${root}/fs@2`]],
  ['bookmark', 'bookmark', ({ root }) => [{ [`${root}/fs#new`]: `${root}/fs@1` }]],
  ['hold', 'hold', ({ root }) => [{ [`${root}/fs@1`]: 'mine' }]],
  ['release', 'release', ({ root }) => [{ [`${root}/fs@1`]: 'mine' }]],
  ['send', 'send', ({ root }) => [`${root}/fs@1`]],
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
  ['destroy', 'destroyBookmarks', ({ root }) => [[`${root}/fs#new`]]],
  ['promote,mount', 'promote', ({ root }) => [`${root}/clone`]],
  ['destroy,mount', 'destroy', ({ root }) => [`${root}/received@1`]],
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
