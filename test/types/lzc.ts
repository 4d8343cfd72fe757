/** The types of flocker-zfs/lzc, which tsc checks and nobody runs: what fits, and what must not. */
import type { FlockerError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { equal } from './equal.js'

export async function results(): Promise<void> {
  const features = lzc.features()
  equal<typeof features.lzc_scrub, boolean>(true)
  equal<typeof features.version, string>(true)
  // @ts-expect-error: libzfs_core has no such function
  features.lzc_scrubs

  const program = await lzc.channelProgram('tank', 'return 1')
  equal<typeof program, lzc.ProgramValue | undefined>(true)
  // @ts-expect-error: it may be anything that Lua returns
  program + 1n

  const waited = await lzc.wait('tank', 'scrub')
  equal<typeof waited, boolean>(true)
  const latest = await lzc.rollback('tank/a')
  equal<typeof latest, string>(true)
  const space = await lzc.snaprangeSpace('tank@a', 'tank@b')
  equal<typeof space, bigint>(true)
  const bookmark = await lzc.getBookmarkProps('tank#a')
  equal<typeof bookmark.guid, bigint | undefined>(true)
  // @ts-expect-error: only getBookmarks tells that
  bookmark.redact_snaps
  const properties = await lzc.getPoolProps('tank')
  equal<(typeof properties)[string]['value'], string | bigint>(true)
}

export async function inputs(key: Buffer): Promise<void> {
  await lzc.wait('tank', 'scrub', { signal: AbortSignal.timeout(1000) })
  // @ts-expect-error: no such activity
  await lzc.wait('tank', 'lunch')
  // @ts-expect-error: only these two have devices of their own
  await lzc.waitTag('tank', 'scrub', 5n)
  // @ts-expect-error: a GUID is a bigint
  await lzc.waitTag('tank', 'trim', 5)

  await lzc.changeKey('tank/a', { command: 'inherit' })
  await lzc.changeKey('tank/a', { command: 'new', key, properties: { keyformat: 'raw' } })
  // @ts-expect-error: a new key has a format
  await lzc.changeKey('tank/a', { command: 'new', key, properties: {} })
  // @ts-expect-error: and bytes
  await lzc.changeKey('tank/a', { command: 'new', properties: { keyformat: 'raw' } })
  // @ts-expect-error: what is inherited has none
  await lzc.changeKey('tank/a', { command: 'inherit', key })
  // @ts-expect-error: a key is not a text
  await lzc.loadKey('tank/a', 'secret')

  await lzc.ddtPrune('tank', { percentage: 5 })
  // @ts-expect-error: an age is a bigint of seconds
  await lzc.ddtPrune('tank', { seconds: 5 })
  // @ts-expect-error: one or the other
  await lzc.ddtPrune('tank', {})
  // @ts-expect-error: trims have no uninit
  await lzc.trim('tank', 'uninit')
  await lzc.initialize('tank', 'uninit', { vdevs: ['disk0', 5n] })
  await lzc.scrub('tank', 'start', { kind: 'errors', start: 1n })
  // @ts-expect-error: no such kind
  await lzc.scrub('tank', 'start', { kind: 'all' })

  await lzc.channelProgram('tank', 'return 1', { arguments: { a: 1, b: [1n, 2], c: { d: ['x'] }, e: true } })
  // @ts-expect-error: Lua gets no null
  await lzc.channelProgram('tank', 'return 1', { arguments: { a: null } })
  // @ts-expect-error: limits are bigints
  await lzc.channelProgram('tank', 'return 1', { instructionLimit: 5 })
  await lzc.sendSpace('tank@a', { resume: { object: 1n, offset: 0n, bytes: 5n } })
  // @ts-expect-error: both or neither
  await lzc.sendSpace('tank@a', { resume: { object: 1n } })
  lzc.receive('tank@a', { heal: true, key })
}

export async function streams(): Promise<void> {
  const sending = lzc.send('tank@a', { from: 'tank#b', flags: { raw: true }, resume: { object: 1n, offset: 0n } })
  equal<typeof sending.bytes, bigint>(true)
  // @ts-expect-error: where to go on is made of bigints
  lzc.send('tank@a', { resume: { object: 1, offset: 0 } })
  // @ts-expect-error: no such flag
  lzc.send('tank@a', { flags: { dedup: true } })
  const { bytes, begin, propertyErrors } = await lzc.receive('tank/b@a', { overrides: { quota: 5n }, force: true })
    .result
  equal<typeof bytes, bigint>(true)
  equal<typeof begin, lzc.BeginRecord>(true)
  equal<typeof propertyErrors, Record<string, number>>(true)
  // @ts-expect-error: excludes are names alone
  lzc.receive('tank/b@a', { excludes: { quota: 5n } })
}

export async function holds(): Promise<void> {
  await using held = await lzc.hold({ 'tank@a': 'tag' }, { temporary: true })
  equal<typeof held, lzc.Holds>(true)
  // @ts-expect-error: one call gives a snapshot one tag
  await lzc.hold({ 'tank@a': ['tag', 'other'] })
  await lzc.release({ 'tank@a': ['tag', 'other'] })
  // @ts-expect-error: volumes and filesystems only
  await lzc.create('tank/a', { type: 'snapshot' })
}

export function failures(error: lzc.ManyError): void {
  const [failure] = [...error.failures.values()]
  equal<typeof failure, FlockerError | undefined>(true)
}
