import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addStreamFlags, describeLeftOut, type StreamFlags, streamOptions } from '../../src/cli/stream-flags.js'

/** What a replication is told, by the options of the command line. */
function parse(...argv: string[]) {
  const command = addStreamFlags(new Command('push'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  return streamOptions(command.parse(argv, { from: 'user' }).opts<StreamFlags>())
}

test('properties', () => {
  assert.equal(parse(), { properties: {} })
  assert.equal(parse('--properties', 'all'), { properties: { send: 'all' } })
  assert.equal(parse('--properties', 'none'), { properties: { send: 'none' } })
  assert.equal(parse('--properties', '*,quota'), { properties: { send: ['*', 'quota'] } })
  const flags = ['--exclude-property', 'com.example:*', '--exclude-property', 'sync', '--set-property', 'a:b=c=d']
  assert.equal(parse(...flags, '--set-property', 'quota=1G', '--set-property', 'a:empty='), {
    properties: { exclude: ['com.example:*', 'sync'], override: { 'a:b': 'c=d', quota: '1G', 'a:empty': '' } },
  })
  for (const bad of [
    ['--properties', 'a,,b'],
    ['--properties', ''],
    ['--set-property', 'quota'],
    ['--set-property', '=x'],
  ]) {
    assert.throws(() => parse(...bad), /error: option/)
  }
})

test('a limit', () => {
  for (const [text, limit] of [
    ['1', 1],
    ['500K', 512_000],
    ['50M', 52_428_800],
    ['1.5 GiB', 1_610_612_736],
    ['2t', 2_199_023_255_552],
    ['10MB', 10_485_760],
  ] as const) {
    assert.is(parse('--limit', text).limit, limit, text)
  }
  for (const text of ['0', '0.5', '-1', 'M', '5X', '1e3', '99999T', '1,5M']) {
    assert.throws(() => parse('--limit', text), /bytes per second/, text)
  }
})

test('what was left out is told in words', () => {
  assert.equal(describeLeftOut([{ name: 'quota', why: 'not-allowed' }]), [
    '  without the property quota: the receiving host does not let it in',
  ])
})

test('push and pull have them', async () => {
  const main = join(__dirname, '../../src/cli/main.js')
  for (const name of ['push', 'pull']) {
    const { stdout } = await promisify(execFile)(process.execPath, [main, name, '--help'])
    for (const flag of ['--properties <names>', '--exclude-property', '--set-property', '--limit <rate>'])
      assert.ok(stdout.includes(flag), `${name} ${flag}`)
  }
})

test.run()
