import { randomBytes } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { refusal } from '../conformance/streams.js'
import { collect, failure, filled, fresh, pool, zfs } from './pool.js'

const raw = { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }

async function encrypted(): Promise<{ name: string; key: Buffer }> {
  const name = fresh()
  const key = randomBytes(lzc.keyBytes)
  await lzc.create(name, { properties: raw, key })
  return { name, key }
}

const keyStatus = async (name: string): Promise<string> =>
  (await zfs('get', '-Ho', 'value', 'keystatus,encryptionroot', name)).trimEnd().replace('\n', ' ')

test('an encrypted dataset: its key is loaded, unloaded, and told from others', async () => {
  const { name, key } = await encrypted()
  assert.is(await keyStatus(name), `available ${name}`)
  assert.is((await failure(lzc.loadKey(name, key))).code, 'EXISTS')
  await lzc.loadKey(name, key, { checkOnly: true })
  const other = randomBytes(32)
  assert.is((await failure(lzc.loadKey(name, other, { checkOnly: true }))).code, 'WRONG_KEY')
  await lzc.unloadKey(name)
  assert.is(await keyStatus(name), `unavailable ${name}`)
  assert.is((await failure(lzc.unloadKey(name))).code, 'KEY_NOT_LOADED')
  assert.is((await failure(lzc.loadKey(name, other))).code, 'WRONG_KEY')
  await lzc.loadKey(name, key, { checkOnly: true })
  assert.is(await keyStatus(name), `unavailable ${name}`)
  await lzc.loadKey(name, key)
  assert.is(await keyStatus(name), `available ${name}`)
})

test('the key that is given may be wiped at once', async () => {
  const { name, key } = await encrypted()
  await lzc.unloadKey(name)
  const loading = lzc.loadKey(name, key)
  key.fill(0)
  await loading
  assert.is(await keyStatus(name), `available ${name}`)
})

test('create with a key: each error', async () => {
  const key = randomBytes(32)
  assert.instance(await failure(lzc.create(fresh(), { properties: raw, key: key.subarray(1) })), ArgumentError)
  assert.instance(await failure(lzc.create(fresh(), { properties: raw })), ArgumentError)
  assert.instance(await failure(lzc.create(fresh(), { key })), ArgumentError)
  const { name } = await encrypted()
  assert.is((await failure(lzc.create(name, { properties: raw, key }))).code, 'EXISTS')
})

test('load and unload: each error', async () => {
  const { name, key } = await encrypted()
  const child = `${name}/child`
  await lzc.create(child)
  for (const other of [child, pool]) {
    assert.is((await failure(lzc.loadKey(other, key))).code, 'NOT_ENCRYPTION_ROOT', other)
    assert.is((await failure(lzc.unloadKey(other))).code, 'KEY_NOT_LOADED', other)
  }
  const missing = fresh()
  assert.is((await failure(lzc.loadKey(missing, key))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.unloadKey(missing))).code, 'NOT_FOUND')
  for (const bad of [key.subarray(1), Buffer.alloc(0), 'text', undefined]) {
    assert.instance(await failure(lzc.loadKey(name, bad as Buffer)), ArgumentError)
  }
  await zfs('mount', name)
  assert.is((await failure(lzc.unloadKey(name))).code, 'BUSY')
  await zfs('unmount', name)
  await lzc.unloadKey(name)
  assert.is((await failure(lzc.create(`${name}/other`))).code, 'KEY_NOT_LOADED')
})

test("a passphrase's key is the one that zfs makes of it", async () => {
  const { key, properties } = await lzc.passphraseKey('correct horse battery', { iterations: 100_000n })
  const name = fresh()
  await lzc.create(name, { properties: { encryption: 'on', keylocation: 'prompt', ...properties }, key })
  await lzc.unloadKey(name)
  const { execFileSync } = await import('node:child_process')
  execFileSync('zfs', ['load-key', name], { input: 'correct horse battery\n' })
  await lzc.unloadKey(name)
  const [salt = '', iterations = ''] = (await zfs('get', '-Hpo', 'value', 'pbkdf2salt,pbkdf2iters', name)).split('\n')
  const again = await lzc.passphraseKey('correct horse battery', { salt: BigInt(salt), iterations: BigInt(iterations) })
  await lzc.loadKey(name, again.key)
  for (const bad of ['short', 'x'.repeat(513)]) assert.instance(await failure(lzc.passphraseKey(bad)), ArgumentError)
  assert.instance(await failure(lzc.passphraseKey('long enough', { iterations: 1n })), ArgumentError)
})

test('a key is changed, inherited and made its own again', async () => {
  const { name, key } = await encrypted()
  const child = `${name}/child`
  await lzc.create(child)
  assert.is(await keyStatus(child), `available ${name}`)
  const childKey = randomBytes(32)
  await lzc.changeKey(child, {
    command: 'new',
    key: childKey,
    properties: { keyformat: 'raw', keylocation: 'prompt' },
  })
  assert.is(await keyStatus(child), `available ${child}`)
  const next = randomBytes(32)
  await lzc.changeKey(child, { command: 'new', key: next, properties: { keyformat: 'raw' } })
  await lzc.unloadKey(child)
  assert.is((await failure(lzc.loadKey(child, childKey))).code, 'WRONG_KEY')
  assert.is((await failure(lzc.changeKey(child, { command: 'inherit' }))).code, 'KEY_NOT_LOADED')
  await lzc.loadKey(child, next)
  await lzc.changeKey(child, { command: 'inherit' })
  assert.is(await keyStatus(child), `available ${name}`)
  await lzc.loadKey(name, key, { checkOnly: true })
})

test('change: each error', async () => {
  const { name } = await encrypted()
  const plain = fresh()
  await lzc.create(plain)
  const change = { command: 'new', key: randomBytes(32), properties: { keyformat: 'raw' } } as const
  assert.is((await failure(lzc.changeKey(plain, change))).code, 'INVALID_ARGUMENT')
  assert.is((await failure(lzc.changeKey(name, { command: 'inherit' }))).code, 'INVALID_ARGUMENT')
  assert.is((await failure(lzc.changeKey(fresh(), change))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.changeKey(name, { ...change, key: Buffer.alloc(31) })), ArgumentError)
  assert.instance(await failure(lzc.changeKey(name, { command: 'drop' as 'inherit' })), ArgumentError)
})

test('what is below a dataset whose key is not loaded', async () => {
  const { name, key } = await encrypted()
  await lzc.create(`${name}/child`)
  const plain = await filled(1)
  await lzc.snapshot(`${plain}@1`)
  const stream = await collect(lzc.send(`${plain}@1`))
  // It has no key of its own to take along.
  const moved = await failure(lzc.rename(`${name}/child`, `${plain}/child`))
  assert.is(moved.code, 'NOT_ENCRYPTION_ROOT')
  assert.match(moved.next ?? '', /changeKey/)
  await lzc.unloadKey(name)
  assert.is((await failure(lzc.create(`${name}/new`))).code, 'KEY_NOT_LOADED')
  assert.is(await refusal(stream, `${name}/received@1`), 'KEY_NOT_LOADED')
  await lzc.loadKey(name, key)
  await lzc.changeKey(`${name}/child`, { command: 'new', key, properties: { keyformat: 'raw', keylocation: 'prompt' } })
  await lzc.rename(`${name}/child`, `${plain}/child`)
})

test('after a raw receive the force commands say whose key it is', async () => {
  const { name, key } = await encrypted()
  const child = `${name}/child`
  await lzc.create(child)
  await lzc.snapshot([`${child}@1`])
  const { name: to } = await encrypted()
  const copy = `${to}/copy`
  lzc.send(`${child}@1`, { flags: { raw: true } }).pipe(lzc.receive(`${copy}@1`, { raw: true }))
  await waitFor(copy)
  assert.is(await keyStatus(copy), `unavailable ${copy}`)
  await lzc.loadKey(copy, key)
  await lzc.unloadKey(copy)
  await lzc.changeKey(copy, { command: 'force-inherit' })
  assert.is(await keyStatus(copy), `available ${to}`)
  await lzc.changeKey(copy, { command: 'force-new' })
  assert.match(await keyStatus(copy), new RegExp(`${copy}$`))
})

async function waitFor(name: string): Promise<void> {
  const deadline = performance.now() + 5000
  while (!(await lzc.exists(`${name}@1`))) if (performance.now() > deadline) throw new Error(`there is no ${name}@1`)
}

test('a stream is received as an encryption root of its own', async () => {
  const from = await filled(1)
  await lzc.snapshot([`${from}@1`])
  const stream = await collect(lzc.send(`${from}@1`))
  const to = fresh()
  const key = randomBytes(32)
  const receiving = lzc.receive(`${to}@1`, { overrides: raw, key })
  receiving.end(stream)
  await receiving.result
  assert.is(await keyStatus(to), `available ${to}`)
  await lzc.unloadKey(to)
  await lzc.loadKey(to, key)
  for (const bad of [{ overrides: raw, key: Buffer.alloc(3) }, { overrides: raw }, { key }]) {
    assert.throws(
      () => lzc.receive(`${fresh()}@1`, bad),
      (error: unknown) => error instanceof ArgumentError,
    )
  }
})

test('no key is in the history of the pool, nor in an error', async () => {
  const { name } = await encrypted()
  const marked = Buffer.alloc(32, 'SECRETS!')
  await lzc.changeKey(name, { command: 'new', key: marked, properties: { keyformat: 'raw' } })
  const error = await failure(lzc.loadKey(name, marked))
  assert.is.not(`${error.message} ${JSON.stringify(error)}`.includes('SECRETS'), true)
  const { execFileSync } = await import('node:child_process')
  const history = execFileSync('zpool', ['history', '-il', pool], { encoding: 'utf8' })
  assert.match(history, /ioctl change-key/)
  assert.is(history.includes('SECRETS'), false)
  assert.not.match(history, /wkeydata/)
})

test.run()
