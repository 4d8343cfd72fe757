import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnershipError } from '../../src/errors.js'
import { checkNotLeased, giveBack, grant, isHeld, renew } from '../../src/volumes/lease-rules.js'
import { compareOwnership, learn, promote } from '../../src/volumes/ownership.js'
import { isSettled, type Round } from '../../src/volumes/precopy.js'
import { encodeRecord, parseRecord, recordNames } from '../../src/volumes/record.js'

const round = (mebibytes: number): Round => ({ bytes: BigInt(mebibytes) << 20n, milliseconds: 1 })

test('copying goes on while it makes the rest smaller', () => {
  assert.not(isSettled([], {}))
  assert.not(isSettled([round(1000)], {}))
  assert.ok(isSettled([round(16)], {}))
  assert.not(isSettled([round(1000), round(400)], {}))
  assert.ok(isSettled([round(1000), round(900)], {}), 'it is written as fast as it is sent')
  assert.ok(isSettled([round(1000), round(400)], { settledBytes: 500 << 20 }))
  assert.ok(isSettled([round(1000), round(400)], { mostRounds: 2 }))
})

const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof OwnershipError) return error.code
    throw error
  }
  return 'none'
}

test('leases', () => {
  const lease = grant(undefined, 3n, 'one', 1000, 500, 'd')
  assert.equal(lease, { token: (3n << 32n) + 1n, holder: 'one', expires: 1500 })
  assert.ok(isHeld(lease, 1499))
  assert.not(isHeld(lease, 1500))
  assert.is(
    code(() => checkNotLeased(lease, 1499, 'd')),
    'LEASED',
  )
  assert.is(
    code(() => grant(lease, 3n, 'two', 1499, undefined, 'd')),
    'LEASED',
  )
  assert.is(grant(lease, 3n, 'two', 1500, undefined, 'd').token, lease.token + 1n)
  assert.is(grant(lease, 4n, 'two', 1500, undefined, 'd').token, (4n << 32n) + 1n, 'of a later owner')
  assert.is(
    code(() => renew(lease, lease.token, 1500, 10, 'd')),
    'LEASE_LOST',
  )
  assert.is(renew(lease, lease.token, 1499, 10, 'd').expires, 1509)
  assert.is(
    code(() => giveBack(lease, lease.token - 1n, 1200, 'd')),
    'LEASE_LOST',
  )
  const back = giveBack(lease, lease.token, 1200, 'd')
  assert.is(grant(back, 3n, 'two', 1200, undefined, 'd').token, lease.token + 1n, 'tokens never come again')
})

test('the later epoch wins, and of one epoch always the same', () => {
  const [a, b] = [
    { host: 'a', epoch: 2n },
    { host: 'b', epoch: 2n },
  ]
  assert.is(compareOwnership(a, b), -1)
  assert.is(compareOwnership({ host: 'a', epoch: 3n }, b), 1)
  assert.is(learn({ owner: a }, 'a', b).kind, 'learned')
  assert.is(learn({ owner: b }, 'b', a).kind, 'stale')
  assert.is(
    learn({ owner: a }, 'b', { host: 'b', epoch: 9n }).kind,
    'known',
    'that it is the owner it does not believe',
  )
  assert.equal(promote({ owner: a }, 'b', { host: 'c', epoch: 7n }).owner, { host: 'b', epoch: 8n })
})

test('records', () => {
  const change = {
    id: 'x',
    owner: { host: 'a', epoch: 2n ** 63n },
    journal: { kind: 'giving', handoff: 'h', to: 'b', guid: 2n ** 64n - 1n } as const,
    lease: { token: 5n, holder: 'me' },
    peers: ['c', 'b'],
    size: 1n << 40n,
    metadata: { 'a b': '=' },
  }
  const raw = encodeRecord(change)
  const { raw: _, ...record } = parseRecord('d', 'volume', raw) as NonNullable<ReturnType<typeof parseRecord>>
  assert.equal(record, {
    ...change,
    type: 'volume',
    peers: ['b', 'c'],
    lease: { ...change.lease },
    active: undefined,
    application: undefined,
    path: undefined,
    former: false,
  })
  assert.equal(encodeRecord({ journal: null, size: null, lease: null }), {
    [recordNames.handoff]: '',
    [recordNames.size]: '',
    [recordNames.lease]: '',
  })
  assert.is(parseRecord('d', 'volume', {}), undefined)
  for (const bad of [
    { [recordNames.owner]: '1 a' },
    { ...raw, [recordNames.owner]: '1' },
    { ...raw, [recordNames.handoff]: '{' },
  ]) {
    assert.throws(() => parseRecord('d', 'volume', bad), /RECORD_INVALID|not what was written/)
  }
})

test.run()
