import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mount } from '../../src/datasets/index.js'
import { ArgumentError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { extraPool } from './extra-pool.js'
import { collect, failure, fill, filled, fresh, zfs } from './pool.js'

/** A filesystem with a snapshot, and a clone of that in which a file is replaced, with a snapshot of its own. */
async function redactable(): Promise<{ origin: string; clone: string; by: string }> {
  const name = await filled(3)
  await lzc.snapshot([`${name}@1`])
  const clone = `${name}-clone`
  await zfs('clone', `${name}@1`, clone)
  await writeFile(`/${clone}/a0`, Buffer.alloc(1024 * 1024, 'x'))
  await lzc.snapshot([`${clone}@r`])
  return { origin: `${name}@1`, clone, by: `${clone}@r` }
}

test('a redaction bookmark, its properties, and what is sent with it', async () => {
  const { origin, by } = await redactable()
  await lzc.redact(origin, 'book', [by])
  const [dataset = ''] = origin.split('@')
  const { book } = await lzc.getBookmarks(dataset, ['redact_snaps', 'redact_complete'])
  const guid = BigInt((await zfs('get', '-Hpo', 'value', 'guid', by)).trim())
  assert.equal(book?.redact_snaps, BigUint64Array.of(guid))
  assert.is(book?.redact_complete, true)
  const whole = await collect(lzc.send(origin))
  const redacted = await collect(lzc.send(origin, { redactBookmark: 'book' }))
  assert.ok(whole.length - redacted.length > 900_000, `${whole.length} and ${redacted.length} bytes`)
  const estimate = await lzc.sendSpace(origin, { redactBookmark: 'book' })
  const wholeEstimate = await lzc.sendSpace(origin)
  assert.ok(estimate < wholeEstimate, `${estimate} and ${wholeEstimate} bytes`)
})

test('redact: each error', async () => {
  const { origin, by, clone } = await redactable()
  const [dataset = ''] = origin.split('@')
  await lzc.redact(origin, 'book', [by])
  assert.is((await failure(lzc.redact(origin, 'book', [by]))).code, 'EXISTS')
  assert.is((await failure(lzc.redact(`${dataset}@none`, 'x', [by]))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.redact(origin, 'y', [`${clone}@none`]))).code, 'NOT_FOUND')
  const stranger = fresh()
  await lzc.create(stranger)
  await lzc.snapshot([`${stranger}@1`])
  assert.is((await failure(lzc.redact(origin, 'z', [`${stranger}@1`]))).code, 'NOT_ANCESTOR')
  const redacted = fresh()
  const receiving = lzc.receive(`${redacted}@1`)
  receiving.end(await collect(lzc.send(origin, { redactBookmark: 'book' })))
  await receiving.result
  await lzc.clone(`${redacted}@1`, `${redacted}-clone`)
  await lzc.snapshot([`${redacted}-clone@1`])
  assert.is((await failure(lzc.redact(`${redacted}@1`, 'again', [`${redacted}-clone@1`]))).code, 'REDACTED')
  assert.instance(await failure(lzc.redact(origin, 'a#b', [by])), ArgumentError)
  assert.instance(await failure(lzc.redact(origin, 'a', [])), ArgumentError)
  assert.instance(await failure(lzc.redact(origin, 'a', ['otherpool/x@1'])), ArgumentError)
  assert.instance(await failure(lzc.redact(dataset, 'a', [by])), ArgumentError)
})

test('redact: a bookmark of a redaction by other snapshots, or of none, stands in the way', async () => {
  const { origin, by } = await redactable()
  const [dataset = ''] = origin.split('@')
  const other = `${dataset}-other`
  await lzc.clone(origin, other)
  await lzc.snapshot(`${other}@r`)
  await lzc.redact(origin, 'book', [by])
  for (const others of [[`${other}@r`], [by, `${other}@r`]]) {
    const error = await failure(lzc.redact(origin, 'book', others))
    assert.is(error.code, 'REDACTION_MISMATCH')
    assert.match(error.next ?? '', /another name/)
  }
  await lzc.bookmark({ [`${dataset}#plain`]: origin })
  assert.is((await failure(lzc.redact(origin, 'plain', [by]))).code, 'EXISTS')
})

test('a bookmark that a send is redacted by can not be destroyed; a redacted filesystem can not be mounted', async () => {
  const { origin, by } = await redactable()
  const [dataset = ''] = origin.split('@')
  await lzc.redact(origin, 'book', [by])
  const stream = await collect(lzc.send(origin, { redactBookmark: 'book' }))
  const sending = lzc.send(origin, { redactBookmark: 'book' })
  await once(sending, 'readable')
  assert.is((await failure(lzc.destroyBookmarks([`${dataset}#book`]))).code, 'BUSY')
  sending.destroy()
  await once(sending, 'close')
  await lzc.destroyBookmarks([`${dataset}#book`])
  const to = fresh()
  const receiving = lzc.receive(`${to}@1`)
  receiving.end(stream)
  await receiving.result
  const error = await failure(mount(to))
  assert.is(error.code, 'NOT_MOUNTABLE')
  assert.match(error.message, /redacted/)
})

test('redact: a pool without the feature', async () => {
  await using extra = await extraPool(['0'], ['-d', '-o', 'feature@bookmarks=enabled'])
  const { name } = extra
  await lzc.snapshot([`${name}@1`])
  await lzc.clone(`${name}@1`, `${name}/clone`)
  await lzc.snapshot([`${name}/clone@1`])
  assert.instance(await failure(lzc.redact(`${name}@1`, 'book', [`${name}/clone@1`])), NotSupportedError)
})

test('a plain bookmark has its properties too', async () => {
  const name = fresh()
  await lzc.create(name)
  await lzc.snapshot([`${name}@1`])
  await lzc.bookmark({ [`${name}#b`]: `${name}@1` })
  const { guid, createtxg, creation, referenced } = await lzc.getBookmarkProps(`${name}#b`)
  const expected = (await zfs('get', '-Hpo', 'value', 'guid,createtxg,creation', `${name}@1`)).trimEnd()
  assert.is([guid, createtxg, creation].join('\n'), expected)
  assert.ok((referenced ?? 0n) > 0n)
  assert.is((await failure(lzc.getBookmarkProps(`${name}#none`))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.getBookmarkProps(`${fresh()}#b`))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.getBookmarkProps(name)), ArgumentError)
})

test('rollback to the latest snapshot, which it names', async () => {
  const name = fresh()
  await lzc.create(name)
  assert.is((await failure(lzc.rollback(name))).code, 'NOT_FOUND')
  await lzc.snapshot([`${name}@1`])
  await lzc.snapshot([`${name}@2`])
  assert.is(await lzc.rollback(name), `${name}@2`)
  assert.is((await failure(lzc.rollback(fresh()))).code, 'NOT_FOUND')
  await lzc.bookmark({ [`${name}#later`]: `${name}@2` })
  await lzc.destroy(`${name}@2`)
  assert.is((await failure(lzc.rollback(name))).code, 'NOT_LATEST')
  assert.is((await failure(lzc.rollbackTo(name, `${name}@1`))).code, 'NOT_LATEST')
  await lzc.destroyBookmarks([`${name}#later`])
  assert.is(await lzc.rollback(name), `${name}@1`)
  assert.instance(await failure(lzc.rollback(`${name}@1`)), ArgumentError)
})

test('rollback: not while it is being sent as it is', async () => {
  const name = await filled(8)
  await lzc.snapshot(`${name}@1`)
  await zfs('unmount', name)
  const sending = spawn('zfs', ['send', name], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(sending.stdout, 'readable')
  assert.is((await failure(lzc.rollback(name))).code, 'BUSY')
  assert.is((await failure(lzc.rollbackTo(name, `${name}@1`))).code, 'BUSY')
  sending.stdout.destroy()
  await once(sending, 'exit')
  assert.is(await lzc.rollback(name), `${name}@1`)
})

test('the space of a range of snapshots', async () => {
  const name = await filled(1)
  await lzc.snapshot([`${name}@1`])
  await fill(name, 'a', 1)
  await lzc.snapshot([`${name}@2`])
  await fill(name, 'a', 1)
  await lzc.snapshot([`${name}@3`])
  const space = await lzc.snaprangeSpace(`${name}@1`, `${name}@2`)
  assert.ok(space > 2_000_000n && space < 3_000_000n, `${space} bytes`)
  const dry = await zfs('destroy', '-nvp', `${name}@1%2`)
  assert.is(String(space), /reclaim\s+(\d+)/.exec(dry)?.[1])
  assert.is((await failure(lzc.snaprangeSpace(`${name}@2`, `${name}@1`))).code, 'NOT_ANCESTOR')
  assert.is((await failure(lzc.snaprangeSpace(`${name}@none`, `${name}@1`))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.snaprangeSpace(`${name}@1`, `${name}@none`))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.snaprangeSpace(`${name}@1`, 'other/x@2')), ArgumentError)
})

test('the estimate of what is left of a stream', async () => {
  const name = await filled(4)
  await lzc.snapshot([`${name}@1`])
  const whole = await lzc.sendSpace(`${name}@1`)
  const arrived = 2_000_000n
  const left = await lzc.sendSpace(`${name}@1`, { resume: { object: 2n, offset: 0n, bytes: arrived } })
  assert.is(left, whole - arrived)
  const object = { object: -1n, offset: 0n }
  assert.instance(await failure(lzc.sendSpace(`${name}@1`, { resume: object })), ArgumentError)
  assert.is((await failure(lzc.sendSpace(`${name}@1`, { redactBookmark: 'none' }))).code, 'NOT_FOUND')
  await lzc.snapshot([`${name}@2`])
  assert.is((await failure(lzc.sendSpace(`${name}@1`, { from: `${name}@2` }))).code, 'NOT_ANCESTOR')
})

test.run()
