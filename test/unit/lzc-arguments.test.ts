/** What lzc refuses before it touches ZFS, which isn't here. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import { choose } from '../../src/lzc/choice.js'
import { zfsError } from '../../src/lzc/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { checkBookmarkName, checkPool } from '../../src/lzc/names.js'
import { poolErrors } from '../../src/lzc/pool-errors.js'
import { readPoolProperties } from '../../src/lzc/pool-properties.js'
import { zfsErrno } from '../../src/lzc/zfs-errno.js'
import { failure } from '../zfs/pool.js'

const refused = (body: () => unknown): void => assert.throws(body, (error: unknown) => error instanceof ArgumentError)

test('pools and bookmarks', () => {
  for (const name of ['tank', 'a-b_c.d:e']) checkPool(name)
  for (const name of ['', 'tank/a', 'tank@a', '1tank', 'ta#nk', 'tänk', undefined])
    refused(() => checkPool(name as string))
  checkBookmarkName('b-1')
  for (const name of ['', 'a#b', 'a/b', '..', 'a@b', 5]) refused(() => checkBookmarkName(name as string))
})

test('choices are words of a table, and nothing else', () => {
  assert.is(choose({ a: 1, b: 0 }, 'b', 'It'), 0)
  for (const word of ['c', 'toString', '__proto__', undefined]) refused(() => choose({ a: 1 }, word as 'a', 'It'))
})

test('a pool that is none is refused by every function', async () => {
  const calls = [
    lzc.sync,
    lzc.reopen,
    lzc.poolCheckpoint,
    lzc.poolCheckpointDiscard,
    lzc.getPoolProps,
    lzc.getBootenv,
    lzc.getVdevs,
    (pool: string) => lzc.setBootenv(pool, {}),
    (pool: string) => lzc.poolPrefetch(pool, 'ddt'),
    (pool: string) => lzc.ddtPrune(pool, { percentage: 1 }),
    (pool: string) => lzc.initialize(pool, 'start'),
    (pool: string) => lzc.trim(pool, 'start'),
    (pool: string) => lzc.scrub(pool, 'start'),
    (pool: string) => lzc.wait(pool, 'scrub'),
    (pool: string) => lzc.waitTag(pool, 'trim', 5n),
    (pool: string) => lzc.getVdevProps(pool, 5n),
    (pool: string) => lzc.setVdevProps(pool, 5n, {}),
    (pool: string) => lzc.channelProgram(pool, 'return 1'),
    (pool: string) => lzc.channelProgramNosync(pool, 'return 1'),
  ]
  for (const call of calls) {
    for (const pool of ['', 'a/b', 'a@b', '../x', 'a\0b']) assert.instance(await failure(call(pool)), ArgumentError)
  }
})

test('the key of a passphrase is that of libzfs', async () => {
  // PBKDF2-HMAC-SHA1 of 'passphrase' and 8 bytes of salt, by Python's hashlib.
  const { key, properties } = await lzc.passphraseKey('passphrase', { salt: 0x0807060504030201n, iterations: 100_000n })
  assert.is(key.toString('hex'), '4f82a1bc0daceee73e7589edd3658be1b18e757610d81e707c442d422efddec6')
  assert.equal(properties, { keyformat: 'passphrase', pbkdf2salt: 0x0807060504030201n, pbkdf2iters: 100_000n })
  const [one, two] = [await lzc.passphraseKey('passphrase'), await lzc.passphraseKey('passphrase')]
  assert.is.not(one.properties.pbkdf2salt, two.properties.pbkdf2salt)
  assert.is(one.properties.pbkdf2iters, 350_000n)
})

test("each operation's errors have a code and say what to do", () => {
  const code = (operation: keyof typeof poolErrors, errno: number): string => zfsError(operation, errno, 'x').code
  assert.is(code('have its key loaded', 13), 'WRONG_KEY')
  assert.is(code('have its key unloaded', 13), 'KEY_NOT_LOADED')
  assert.is(code('be checkpointed', zfsErrno.CHECKPOINT_EXISTS), 'EXISTS')
  assert.is(code('be checkpointed', zfsErrno.DISCARDING_CHECKPOINT), 'BUSY')
  assert.is(code('be checkpointed', zfsErrno.VDEV_TOO_BIG), 'NOT_SUPPORTED')
  assert.is(code('be redacted', 114), 'REDACTED')
  assert.is(code('be scrubbed', 38), 'NOT_SUPPORTED')
  assert.is(code('be synced', zfsErrno.IOC_CMD_UNAVAIL), 'NOT_SUPPORTED')
  assert.is(code('be reopened', zfsErrno.EXPORT_IN_PROGRESS), 'BUSY')
  assert.match(
    zfsError('be synced', 2, 'nosuch').message,
    /^nosuch can't be synced: there is no such pool\n {2}See zpool list/,
  )
  for (const table of Object.values(poolErrors)) {
    for (const meaning of Object.values(table)) assert.match(meaning.code, /^[A-Z_]+$/)
  }
})

test("properties of pools, and what isn't one", () => {
  const list = { a: { value: 5n, source: 8n }, b: { value: 'x', source: 1n }, c: { value: true }, d: { value: 1n } }
  assert.equal(
    { ...readPoolProperties(list) },
    { a: { value: 5n, source: 'local' }, b: { value: 'x', source: 'none' }, d: { value: 1n, source: 'none' } },
  )
})

test.run()
