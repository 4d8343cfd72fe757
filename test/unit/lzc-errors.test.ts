import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NotSupportedError, StreamError, ZfsError } from '../../src/errors.js'
import { ManyError, throwFailures, zfsError } from '../../src/lzc/errors.js'
import { encodeNvlist, nv } from '../../src/lzc/nvlist.js'

test('an errno means what it means to the operation', () => {
  assert.is(zfsError('be received', 19, 'tank/a').code, 'BASE_MISMATCH')
  assert.is(zfsError('be received', 26, 'tank/a').code, 'DESTINATION_MODIFIED')
  assert.is(zfsError('be received', 17, 'tank/a').code, 'EXISTS')
  assert.is(zfsError('be received', 122, 'tank/a').code, 'QUOTA')
  assert.is(zfsError('be sent', 18, 'tank/a@1').code, 'NOT_ANCESTOR')
  assert.is(zfsError('be destroyed', 17, 'tank/a').code, 'HAS_DEPENDENTS')
})

test('the class tells the kind', () => {
  assert.instance(zfsError('be received', 1040, 'tank/a'), StreamError)
  assert.instance(zfsError('be received', 52, 'tank/a'), StreamError)
  assert.instance(zfsError('be created', 95, 'tank/a'), NotSupportedError)
  assert.instance(zfsError('be created', 2, 'tank/a'), ZfsError)
})

test('errors say what, why and what next', () => {
  const error = zfsError('be created', 2, 'tank/a/b')
  assert.is(error.message, "tank/a/b can't be created: its parent does not exist\n  Create the parent first.")
  assert.is(error.errno, 2)
  assert.is(error.dataset, 'tank/a/b')
  assert.match(zfsError('be created', 111, 'tank/a').message, /errno 111 \(ECONNREFUSED\)/)
  assert.is(zfsError('be created', 4242, 'tank/a').code, 'UNKNOWN')
})

test('a call of many names reports each of them', () => {
  const list = encodeNvlist({ 'tank/a@1': nv.int32(17), 'tank/b@1': nv.int32(2), N_MORE_ERRORS: nv.int32(5) })
  try {
    throwFailures('be snapshotted', 17, list, 'tank/a@1')
    assert.unreachable()
  } catch (error) {
    assert.instance(error, ManyError)
    const { failures, code, message } = error as ManyError
    assert.is(code, 'EXISTS')
    assert.equal(
      [...failures].map(([name, each]) => `${name} ${each.code}`),
      ['tank/a@1 EXISTS', 'tank/b@1 NOT_FOUND'],
    )
    assert.match(message, /1 more/)
  }
  throwFailures('be snapshotted', 0, undefined, 'tank/a@1')
  throwFailures('be snapshotted', 0, encodeNvlist({}), 'tank/a@1')
  assert.throws(() => throwFailures('be snapshotted', 28, undefined, 'tank/a@1'), /out of space/)
})

test('a release tells of each tag', () => {
  const list = encodeNvlist({ 'tank/a@1': { mine: nv.int32(3) } })
  assert.throws(() => throwFailures('be released', 0, list, 'tank/a@1'), /no hold with that tag/)
})

test.run()
