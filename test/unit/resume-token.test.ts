import { deflateSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { StreamError } from '../../src/errors.js'
import { encodeNvlist, type NvInput, nv } from '../../src/lzc/index.js'
import { decodeResumeToken, describeResumeToken } from '../../src/stream/index.js'
import { sealToken, tokenList } from './stream-fixtures.js'

const tokenOf = (list: NvInput): string => sealToken(encodeNvlist(list))

test('a token of each field', () => {
  const full = decodeResumeToken(tokenOf(tokenList))
  assert.equal(full, {
    toname: 'tank/a@1',
    toguid: 0xfedcba9876543210n,
    fromguid: undefined,
    object: 2n,
    offset: 0xc0000n,
    bytes: 0xe1488n,
    largeBlocks: false,
    embedded: false,
    compressed: true,
    raw: false,
    redactSnapshots: undefined,
    bookRedactSnapshots: undefined,
  })
  const rest = decodeResumeToken(
    tokenOf({
      ...tokenList,
      fromguid: 2n ** 64n - 1n,
      largeblockok: nv.flag(),
      embedok: nv.flag(),
      rawok: nv.flag(),
      redact_snaps: nv.uint64Array(BigUint64Array.of(1n, 2n)),
      book_redact_snaps: nv.uint64Array(BigUint64Array.of()),
      'of a later release': 'ignored',
    }),
  )
  assert.is(rest.fromguid, 2n ** 64n - 1n)
  assert.ok(rest.largeBlocks && rest.embedded && rest.compressed && rest.raw)
  assert.equal(rest.redactSnapshots, [1n, 2n])
  assert.equal(rest.bookRedactSnapshots, [])
})

test('a description, in the order of the list', () => {
  assert.is(
    describeResumeToken(tokenOf(tokenList)),
    [
      'resume token contents:',
      'nvlist version: 0',
      '\tobject = 0x2',
      '\toffset = 0xc0000',
      '\tbytes = 0xe1488',
      '\ttoguid = 0xfedcba9876543210',
      '\ttoname = tank/a@1',
      '\tcompressok = 1',
    ].join('\n'),
  )
})

function refused(token: string, text: RegExp): void {
  for (const read of [decodeResumeToken, describeResumeToken]) {
    try {
      read(token)
    } catch (error) {
      assert.instance(error, StreamError)
      assert.is((error as StreamError).code, 'TOKEN_INVALID')
      assert.match((error as StreamError).message, text)
      continue
    }
    assert.unreachable(`${text} was accepted`)
  }
}

test('what is no token', () => {
  const token = tokenOf(tokenList)
  const [, checksum, length, data] = token.split('-') as [string, string, string, string]
  for (const text of ['', '-', '1-', 'none', token.toUpperCase(), `${token} `, `${token}0`, `x${token}`])
    refused(text, /form/)
  refused(`2-${checksum}-${length}-${data}`, /version is 2/)
  refused(`1-${checksum}1-${length}-${data}`, /form|checksum/)
  refused(`1-0-${length}-${data}`, /checksum/)
  refused(`1-${checksum}-${length}-00${data.slice(2)}`, /checksum/)
  refused(`1-${checksum}-0-${data}`, /announces 0/)
  refused(`1-${checksum}-ffffffffffffffff-${data}`, /announces 18446744073709551615/)
  refused(`1-${checksum}-${(Number(`0x${length}`) - 1).toString(16)}-${data}`, /inflated/)
  refused(`1-${checksum}-${(Number(`0x${length}`) + 1).toString(16)}-${data}`, /has \d+ bytes and announces/)
  refused('1-'.padEnd(2 ** 21, '0'), /longer/)
})

test('a list that is not a token’s, though the checksum is right', () => {
  refused(sealToken(Buffer.alloc(100), Buffer.from('not deflated')), /inflated/)
  refused(sealToken(Buffer.alloc(100, 9)), /list/)
  refused(tokenOf({}), /toname/)
  for (const name of ['toname', 'toguid', 'object', 'offset', 'bytes']) {
    refused(tokenOf({ ...tokenList, [name]: undefined }), new RegExp(`no ${name}`))
    refused(tokenOf({ ...tokenList, [name]: nv.int64(1n) }), new RegExp(`no ${name}`))
  }
  for (const toname of ['', 'tank', '@', 'tank@', '@1', 'tank@1@2', 'tank@\x1b[2J', `tank@${'x'.repeat(251)}`])
    refused(tokenOf({ ...tokenList, toname }), /not the name of a snapshot/)
  refused(tokenOf({ ...tokenList, fromguid: 'x' }), /no fromguid/)
  refused(tokenOf({ ...tokenList, redact_snaps: 1n }), /redact_snaps is not/)
})

test('a token can’t be made to take memory', () => {
  const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024))
  const before = process.memoryUsage().rss
  refused(sealToken(Buffer.alloc(1024 * 1024), bomb), /inflated/)
  assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024)
})

test.run()
