import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { FlockerError } from '../../src/errors.js'
import { countFrame, FrameDecoder, FrameType, frame, frameHeader } from '../../src/transport/frames.js'
import { authorize, checkRules, isAuthorized, type Rule } from '../../src/transport/index.js'
import {
  clientMessageSchema,
  commonVersion,
  decodeMessage,
  encodeMessage,
  MessageDecoder,
} from '../../src/transport/messages.js'
import { generator, pieces } from './fuzzing.js'

test('messages survive any cutting', () => {
  const random = generator(1)
  const messages = Array.from({ length: 200 }, (_, id) => ({ type: 'cancel', id: id + 1 }))
  const wire = Buffer.concat(messages.map((value) => encodeMessage(value, 1000)))
  const decoder = new MessageDecoder(1000)
  const got = pieces(wire, random).flatMap((piece) =>
    [...decoder.push(piece)].map((body) => decodeMessage(body, clientMessageSchema)),
  )
  assert.equal(got, messages)
})

test('frames survive any cutting, and DATA is not copied', () => {
  const random = generator(3)
  const wire = Buffer.concat([
    frame(FrameType.DATA, Buffer.from('hello ')),
    frameHeader(FrameType.ALIVE, 0),
    frame(FrameType.DATA, Buffer.from('world')),
    countFrame(FrameType.END, 11n),
    frame(FrameType.ERROR, Buffer.from('{}')),
  ])
  const whole = [...new FrameDecoder().push(wire)]
  assert.is(whole[0]?.bytes.buffer, wire.buffer)
  for (let round = 0; round < 200; round += 1) {
    const decoder = new FrameDecoder()
    const got = pieces(wire, random).flatMap((piece) => [...decoder.push(piece)])
    const data = got.filter(({ type }) => type === FrameType.DATA).map(({ bytes }) => bytes)
    assert.is(Buffer.concat(data).toString(), 'hello world')
    const rest = got.filter(({ type }) => type !== FrameType.DATA)
    assert.equal(
      rest.map(({ type }) => type),
      [FrameType.ALIVE, FrameType.END, FrameType.ERROR],
    )
    assert.is(rest[1]?.bytes.readBigUInt64BE(), 11n)
  }
})

test('a length over the bound is refused before anything is held for it', () => {
  for (const [type, size] of [
    [FrameType.DATA, 2 ** 20 + 1],
    [FrameType.DATA, 0],
    [FrameType.ERROR, 2 ** 32 - 1],
    [FrameType.END, 9],
    [0, 0],
    [77, 4],
  ] as const) {
    assert.throws(() => [...new FrameDecoder().push(frameHeader(type as never, size))], /data frame/)
  }
})

test('versions', () => {
  const range = (minimum: number, maximum: number) => ({ minimum, maximum })
  assert.is(commonVersion(range(1, 3), range(2, 5)), 3)
  assert.is(commonVersion(range(1, 1), range(2, 5)), undefined)
  assert.is(commonVersion(range(4, 6), range(1, 4)), 4)
})

test('rules', () => {
  const rules: Rule[] = [
    { peer: 'alpha', verbs: ['receive', 'inspect'], datasets: ['tank/a', 'tank/kids/*', 'tank/tree/**'] },
    { peer: 'beta', verbs: ['send'], datasets: ['tank/**'] },
  ]
  checkRules(rules)
  const may = (peer: string, dataset: string, verb: 'receive' | 'send' = 'receive') =>
    isAuthorized(rules, peer, verb, dataset)
  const allowed = ['tank/a', 'tank/kids/x', 'tank/tree', 'tank/tree/x/y']
  for (const name of allowed) assert.ok(may('alpha', name), name)
  const refused = [
    'tank',
    'tank/a/b',
    'tank/ab',
    'tank/kids',
    'tank/kids/x/y',
    'tank/treeish',
    'other',
    '',
    'tank/tree/',
    'tank/tree/../a',
    'tank//tree',
    '/tank/tree',
    'tank/tree/x@snap',
    'tank/tree/*',
    'tank/a#mark',
    'tank/tree/\0',
  ]
  for (const name of refused) assert.not.ok(may('alpha', name), name)
  assert.not.ok(may('alpha', 'tank/a', 'send'))
  assert.not.ok(may('gamma', 'tank/a'))
  assert.ok(may('beta', 'tank/x/y', 'send'))
  assert.not.ok(may('beta', 'tank/x/y'))
  assert.throws(
    () => authorize(rules, 'alpha', 'send', 'tank/a'),
    (error: FlockerError) => error.code === 'NOT_AUTHORIZED' && !/exist/.test(error.message),
  )
  for (const pattern of ['*', '**', 'tank/*/x', 'tank/a*', '/tank', 'tank/', '', 'tank/a@x', 'tank/***']) {
    assert.throws(
      () => checkRules([{ peer: 'a', verbs: ['send'], datasets: [pattern] }]),
      /bad dataset pattern/,
      pattern,
    )
  }
})

test.run()
