import * as assert from 'uvu/assert'
import { getProperties } from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'

async function held(): Promise<string> {
  const name = fresh()
  await lzc.create(name)
  await lzc.snapshot(`${name}@1`)
  return `${name}@1`
}

const tags = async (snapshot: string): Promise<string[]> => Object.keys(await lzc.getHolds(snapshot)).sort()

conformance('holds', (test) => {
  test('hold and release', async () => {
    const snapshot = await held()
    const holds = await lzc.hold({ [snapshot]: 'mine' })
    const { mine } = await lzc.getHolds(snapshot)
    assert.ok(Math.abs(Number(mine) - Date.now() / 1000) < 60)
    assert.is((await getProperties(snapshot)).userrefs?.value, 1n)
    assert.is((await failure(lzc.hold({ [snapshot]: 'mine' }))).code, 'EXISTS')
    assert.is((await failure(lzc.destroySnapshots([snapshot]))).code, 'BUSY')
    await holds.release()
    await holds.release()
    assert.equal(await tags(snapshot), [])
    await lzc.hold({ [snapshot]: 'a' })
    await lzc.hold({ [snapshot]: 'b' })
    await lzc.release({ [snapshot]: ['a', 'b'] })
    await lzc.destroy(snapshot)
  })

  test('several snapshots in one call: all or none', async () => {
    const [one, two] = [await held(), await held()]
    await lzc.hold({ [one]: 'x', [two]: 'y' })
    assert.equal([await tags(one), await tags(two)], [['x'], ['y']])
    const error = await failure(lzc.hold({ [one]: 'z', [two]: 'y' }))
    assert.equal(
      [...(error as lzc.ManyError).failures].map(([name, { code }]) => [name, code]),
      [[two, 'EXISTS']],
    )
    assert.equal(await tags(one), ['x'])
    await lzc.release({ [one]: 'x', [two]: 'y' })
    assert.equal([await tags(one), await tags(two)], [[], []])
    await lzc.hold({})
    await lzc.release({})
  })

  test('a missing snapshot is an error, and nothing stays held', async () => {
    const snapshot = await held()
    const none = snapshot.replace('@1', '@none')
    for (const temporary of [false, true]) {
      const error = await failure(lzc.hold({ [snapshot]: 'x', [none]: 'x' }, { temporary }))
      assert.is((error as lzc.ManyError).failures.get(none)?.code, 'NOT_FOUND')
      assert.equal(await tags(snapshot), [], `temporary: ${temporary}`)
      assert.is((await failure(lzc.hold({ [`${fresh()}@1`]: 'x' }, { temporary }))).code, 'NOT_FOUND')
      assert.is((await failure(lzc.hold({ 'nosuchpool/x@1': 'x' }, { temporary }))).code, 'NOT_FOUND')
    }
  })

  test('release and getHolds: each error', async () => {
    const snapshot = await held()
    await lzc.hold({ [snapshot]: 'a' })
    assert.is((await failure(lzc.release({ [snapshot]: 'b' }))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.release({ [snapshot]: ['a', 'b'] }))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.release({ [`${fresh()}@1`]: 'a' }))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.release({ 'nosuchpool/x@1': 'a' }))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.getHolds(`${fresh()}@1`))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.getHolds(snapshot.replace('@1', '@2')))).code, 'NOT_FOUND')
    await lzc.release({ [snapshot]: 'a' }).catch((error) => assert.is(error.code, 'NOT_FOUND'))
    assert.equal(await tags(snapshot), [])
  })

  test('tags are any text of 1 to 255 bytes; a temporary one has less room', async () => {
    const snapshot = await held()
    const longest = 'x'.repeat(255)
    for (const tag of ['a b/c@d', 'ä'.repeat(100), longest]) {
      const holds = await lzc.hold({ [snapshot]: tag })
      assert.equal(await tags(snapshot), [tag])
      await holds.release()
    }
    assert.is((await failure(lzc.hold({ [snapshot]: longest }, { temporary: true }))).code, 'INVALID_NAME')
    for (const tag of ['', 'x'.repeat(256), 'a\0b']) {
      assert.instance(await failure(lzc.hold({ [snapshot]: tag })), ArgumentError)
    }
    assert.equal(await tags(snapshot), [])
  })

  test('a temporary hold ends with its release', async () => {
    const snapshot = await held()
    {
      await using _holds = await lzc.hold({ [snapshot]: 'temp' }, { temporary: true })
      assert.equal(await tags(snapshot), ['temp'])
      assert.is((await failure(lzc.destroySnapshots([snapshot]))).code, 'BUSY')
    }
    assert.equal(await tags(snapshot), [])
  })

  test('temporary holds of several calls end each with its own', async () => {
    const snapshot = await held()
    const first = await lzc.hold({ [snapshot]: 'first' }, { temporary: true })
    const second = await lzc.hold({ [snapshot]: 'second' }, { temporary: true })
    await lzc.hold({ [snapshot]: 'kept' })
    await first.release()
    assert.equal(await tags(snapshot), ['kept', 'second'])
    // Somebody may have released it by its tag before.
    await lzc.release({ [snapshot]: 'second' })
    await second.release()
    assert.equal(await tags(snapshot), ['kept'])
    await lzc.release({ [snapshot]: 'kept' })
  })
})
