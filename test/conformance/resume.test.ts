import * as assert from 'uvu/assert'
import {
  discardPartialReceive,
  forgetReceivedProperties,
  getOwnProperties,
  getProperties,
  getReceivedProperties,
  readResumeToken,
  setProperties,
} from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { ResumeToken } from '../embedded/resume-token.js'
import { eventually, failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { digestOf, feed, guidOf, newHistory, recordsOf, refusal, sent } from './streams.js'

async function tokenOf(dataset: string): Promise<ResumeToken | undefined> {
  const token = (await getProperties(dataset)).receive_resume_token?.value
  return token === undefined ? undefined : new ResumeToken(String(token))
}

function resumeFrom(token: ResumeToken | undefined): { object: bigint; offset: bigint } {
  assert.ok(token)
  return { object: BigInt(token.object), offset: BigInt(token.offset) }
}

conformance('resume', (test, engine) => {
  test('an interrupted full receive goes on from its token', async () => {
    const { name, full } = await newHistory(engine)
    const [to, reference] = [fresh(), fresh()]
    assert.is(await refusal(full.subarray(0, full.length >> 1), `${to}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    const token = await tokenOf(to)
    assert.is(token?.toname, `${name}@1`)
    assert.ok((token?.bytes ?? 0) > full.length / 4, String(token?.bytes))
    const rest = await sent(`${name}@1`, { resume: resumeFrom(token) })
    assert.ok(rest.length < full.length * 0.8, `${rest.length} of ${full.length}`)
    assert.ok(lzc.parseBeginRecord(rest).features.includes('resuming'))
    await feed(rest, `${to}@1`, { resumable: true })
    assert.is(await tokenOf(to), undefined)
    assert.is(await guidOf(`${to}@1`), await guidOf(`${name}@1`))
    await feed(full, `${reference}@1`)
    assert.is(digestOf(await engine.read(to)), digestOf(await engine.read(reference)))
  })

  test('an interrupted increment goes on, cut once more', async () => {
    const { name, full } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    const whole = await sent(`${name}@3`, { from: `${name}@1` })
    assert.is(await refusal(whole.subarray(0, whole.length >> 1), `${to}@3`, { resumable: true }), 'STREAM_TRUNCATED')
    const from = `${name}@1`
    const first = await sent(`${name}@3`, { from, resume: resumeFrom(await tokenOf(to)) })
    const cut = first.subarray(0, first.length >> 1)
    assert.is(await refusal(cut, `${to}@3`, { resumable: true }), 'STREAM_TRUNCATED')
    await feed(await sent(`${name}@3`, { from, resume: resumeFrom(await tokenOf(to)) }), `${to}@3`)
    assert.is(digestOf(await engine.read(to)), digestOf(await engine.read(name)))
    assert.is(await guidOf(`${to}@3`), await guidOf(`${name}@3`))
  })

  test('what goes on brings its own properties', async () => {
    const { name, full, second } = await newHistory(engine)
    const to = fresh()
    const first = { resumable: true, properties: { compression: 'gzip-2', 'com.example:a': '1' } }
    assert.is(await refusal(full.subarray(0, full.length >> 1), `${to}@1`, first), 'STREAM_TRUNCATED')
    const rest = await sent(`${name}@1`, { resume: resumeFrom(await tokenOf(to)) })
    const now = { compression: 'gzip-3', 'com.example:b': '2' }
    await setProperties(to, { 'com.example:own': 'own' })
    assert.equal({ ...(await getReceivedProperties(to)) }, first.properties)
    await forgetReceivedProperties(to)
    assert.equal({ ...(await getReceivedProperties(to)) }, {})
    await feed(rest, `${to}@1`, { properties: now, overrides: { readonly: 'on' } })
    assert.equal({ ...(await getReceivedProperties(to)) }, now)

    assert.is(await refusal(second.subarray(0, second.length >> 1), `${to}@2`, first), 'STREAM_TRUNCATED')
    assert.equal({ ...(await getReceivedProperties(to)) }, now, 'as they were')
    const resume = resumeFrom(await tokenOf(to))
    await feed(await sent(`${name}@2`, { from: `${name}@1`, resume }), `${to}@2`, { properties: { sync: 'always' } })
    assert.equal({ ...(await getReceivedProperties(to)) }, { sync: 'always' })
    assert.equal({ ...(await getOwnProperties(to)) }, { sync: 'always', readonly: 'on', 'com.example:own': 'own' })
  })

  test('damage on the way is kept out of what is resumed', async () => {
    const { name, full } = await newHistory(engine)
    const to = fresh()
    const damaged = Buffer.from(full)
    const at = [...recordsOf(full)].filter(({ type }) => type === 3)[40]?.at ?? 0
    damaged.writeUInt8(damaged.readUInt8(at + 400) ^ 1, at + 400)
    assert.is(await refusal(damaged, `${to}@1`, { resumable: true }), 'STREAM_CORRUPT')
    await feed(await sent(`${name}@1`, { resume: resumeFrom(await tokenOf(to)) }), `${to}@1`, { resumable: true })
    await lzc.rollbackTo(name, `${name}@3`)
    assert.is(digestOf(await sent(`${name}@1`)), digestOf(full))
    const reference = fresh()
    await feed(full, `${reference}@1`)
    assert.is(digestOf(await engine.read(to)), digestOf(await engine.read(reference)))
  })

  test('what is left can not be received into, sent from another place, or outlive its dataset', async () => {
    const { name, full, second } = await newHistory(engine)
    const [to, whole] = [fresh(), fresh()]
    const cut = full.subarray(0, full.length >> 1)
    assert.is(await refusal(cut, `${to}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    assert.is(await refusal(full, `${to}@1`), 'BUSY')
    assert.is((await failure(lzc.snapshot(`${to}@x`))).code, 'BUSY')
    const elsewhere = await sent(`${name}@1`, { resume: { object: 1n, offset: 0n } })
    assert.is(await refusal(elsewhere, `${to}@1`, { resumable: true }), 'STREAM_INVALID')
    assert.ok(await tokenOf(to))
    // A receive that goes on, but not resumably, takes all with it when it fails.
    assert.is(await refusal(elsewhere, `${to}@1`), 'STREAM_INVALID')
    assert.is(await lzc.exists(to), false)
    assert.is(await refusal(cut, `${to}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    await lzc.destroy(to)
    assert.is(await refusal(elsewhere, `${to}@1`), 'NOT_FOUND')
    await feed(full, `${whole}@1`)
    assert.is(
      await refusal(second.subarray(0, second.length >> 1), `${whole}@2`, { resumable: true }),
      'STREAM_TRUNCATED',
    )
    assert.is(await refusal(second, `${whole}@2`), 'BUSY')
    assert.is((await failure(lzc.destroySnapshots([`${whole}@1`]))).code, 'HAS_DEPENDENTS')
    await feed(await sent(`${name}@2`, { from: `${name}@1`, resume: resumeFrom(await tokenOf(whole)) }), `${whole}@2`)
    await lzc.destroySnapshots([`${whole}@1`])
  })

  test('an aborted receive that was resumable goes on too', async () => {
    const { name, full } = await newHistory(engine)
    const to = fresh()
    const abort = new AbortController()
    const receiving = lzc.receive(`${to}@1`, { resumable: true, signal: abort.signal })
    const failed = failure(receiving.result)
    receiving.on('error', () => abort.abort())
    await new Promise((resolve) => receiving.write(full.subarray(0, full.length >> 1), resolve))
    abort.abort()
    assert.is((await failed).code, 'ABORTED')
    await feed(await sent(`${name}@1`, { resume: resumeFrom(await tokenOf(to)) }), `${to}@1`)
    assert.is(await guidOf(`${to}@1`), await guidOf(`${name}@1`))
  })

  test('what is left is discarded, and nothing else', async () => {
    const { full, second } = await newHistory(engine)
    const [to, whole, missing] = [fresh(), fresh(), fresh()]
    const cut = (stream: Buffer): Buffer => stream.subarray(0, stream.length >> 1)
    assert.is(await refusal(cut(full), `${to}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    assert.type(await readResumeToken(to), 'string')
    await discardPartialReceive(to)
    assert.is(await lzc.exists(to), false)
    await feed(full, `${whole}@1`)
    assert.is((await failure(discardPartialReceive(whole))).code, 'NOT_FOUND')
    assert.is(await refusal(cut(second), `${whole}@2`, { resumable: true }), 'STREAM_TRUNCATED')
    assert.type(await readResumeToken(whole), 'string')
    await discardPartialReceive(whole)
    assert.is(await readResumeToken(whole), undefined)
    assert.is(await lzc.exists(`${whole}@1`), true)
    assert.is((await failure(readResumeToken(missing))).code, 'NOT_FOUND')
    assert.is((await failure(discardPartialReceive(missing))).code, 'NOT_FOUND')
    const receiving = lzc.receive(`${whole}@2`, { resumable: true })
    await new Promise((resolve) => receiving.write(cut(second), resolve))
    await eventually(async () => (await readResumeToken(whole)) !== undefined)
    assert.is((await failure(discardPartialReceive(whole))).code, 'BUSY')
    receiving.end(second.subarray(second.length >> 1))
    await receiving.result
    assert.is(await lzc.exists(`${whole}@2`), true)
  })

  test('a full stream that was to take the place of a dataset goes on with force alone', async () => {
    const { name, full } = await newHistory(engine)
    const to = fresh()
    await lzc.create(to, { type: 'volume', properties: { volsize: '4M' } })
    const options = { force: true, resumable: true }
    assert.is(await refusal(full.subarray(0, full.length >> 1), `${to}@1`, options), 'STREAM_TRUNCATED')
    const rest = await sent(`${name}@1`, { resume: resumeFrom(await tokenOf(to)) })
    // 2.1 does not look at that.
    if (!(await lzc.version()).module.startsWith('2.1.')) {
      assert.is(await refusal(rest, `${to}@1`, { resumable: true }), 'RESUME_EXISTS')
    }
    await feed(rest, `${to}@1`, options)
    assert.is(await guidOf(`${to}@1`), await guidOf(`${name}@1`))
  })

  test('what an interrupted receive has left can be sent on', async () => {
    const { full } = await newHistory(engine)
    const [to, again] = [fresh(), fresh()]
    assert.is(await refusal(full.subarray(0, full.length >> 1), `${to}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    const saved = await sent(to, { flags: { saved: true } })
    assert.is(await refusal(saved, `${again}@1`, { resumable: true }), 'STREAM_TRUNCATED')
    assert.ok(await tokenOf(again))
  })
})
