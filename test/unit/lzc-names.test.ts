import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import {
  checkAny,
  checkBookmark,
  checkDataset,
  checkOnePool,
  checkSnapshot,
  checkTag,
  checkUserProperty,
  poolOf,
} from '../../src/lzc/names.js'

const refused = (body: () => unknown): void => assert.throws(body, (error: unknown) => error instanceof ArgumentError)

test('names that ZFS takes', () => {
  for (const name of ['tank', 'tank/a', 'Tank-1/b.c_d:e/f g', 'tank/1', `tank/${'x'.repeat(250)}`]) checkDataset(name)
  checkSnapshot('tank/a@2026-01-01_00:00')
  checkBookmark('tank#b')
  for (const name of ['tank', 'tank@a', 'tank#a']) checkAny(name)
})

test('names that it does not', () => {
  const long = `tank/${'x'.repeat(251)}`
  for (const name of [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    'a/.',
    'a/..',
    'a/%recv',
    'a/$x',
    'a/ä',
    'a\0',
    '1a',
    'a@b',
    'a#b',
    long,
  ]) {
    refused(() => checkDataset(name))
  }
  for (const name of ['a', 'a@', '@a', 'a@b@c', 'a@b/c', 'a#b', 'a@b#c']) refused(() => checkSnapshot(name))
  for (const name of ['a', 'a#', '#a', 'a@b', 'a#b#c']) refused(() => checkBookmark(name))
  refused(() => checkDataset(Array(51).fill('a').join('/')))
  refused(() => checkDataset(undefined as unknown as string))
})

test('tags, user properties, pools', () => {
  checkTag('a b: ü')
  for (const tag of ['', 'a\0b', 'x'.repeat(256)]) refused(() => checkTag(tag))
  checkUserProperty('com.example:note-1_2')
  for (const name of ['note', 'Com:x', '-a:b', `a:${'x'.repeat(255)}`, 'a:ü']) refused(() => checkUserProperty(name))
  assert.is(poolOf('tank/a@b'), 'tank')
  checkOnePool(['tank', 'tank/a@b', 'tank#c'])
  refused(() => checkOnePool(['tank', 'tankette']))
})

test.run()
