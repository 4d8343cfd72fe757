import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh, pause, pool } from './pool.js'

const run = (program: string, options?: lzc.ProgramOptions): Promise<lzc.ProgramValue | undefined> =>
  lzc.channelProgramNosync(pool, program, options)

test('values go in and come out', async () => {
  const given = {
    yes: true,
    no: false,
    text: 'ä b',
    small: 7,
    big: -(2n ** 62n),
    texts: ['a', 'b'],
    numbers: [1, 2n ** 40n],
    nested: { inner: { deep: 1 } },
  }
  const returned = (await run('return ...', { arguments: given })) as Record<string, lzc.ProgramValue>
  assert.is(returned.yes, true)
  assert.is(returned.no, false)
  assert.is(returned.text, 'ä b')
  assert.is(returned.small, 7n)
  assert.is(returned.big, -(2n ** 62n))
  assert.equal({ ...(returned.texts as object) }, { 1: 'a', 2: 'b' })
  assert.equal({ ...(returned.numbers as object) }, { 1: 1n, 2: 2n ** 40n })
  assert.is(
    JSON.stringify(returned.nested, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    '{"inner":{"deep":"1"}}',
  )
})

test('nil, true and nothing are told apart', async () => {
  assert.is(await run('return nil'), null)
  assert.is(await run('return true'), true)
  assert.is(await run(''), undefined)
  assert.is(await run('return "x"'), 'x')
  assert.is(await run('return -1'), -1n)
})

test('in syncing context it changes things, in open context it may not', async () => {
  const name = fresh()
  await lzc.create(name)
  const program = 'return zfs.sync.snapshot((...).snapshot)'
  const args = { snapshot: `${name}@made` }
  const refused = await failure(run(program, { arguments: args }))
  assert.is(refused.code, 'PROGRAM_FAILED')
  assert.is(await lzc.exists(`${name}@made`), false)
  assert.is(await lzc.channelProgram(pool, program, { arguments: args }), 0n)
  assert.is(await lzc.exists(`${name}@made`), true)
  // A command's own errno is the program's to report.
  assert.is(await lzc.channelProgram(pool, program, { arguments: args }), 17n)
})

test("Lua's errors", async () => {
  const failed = (await failure(run('local t = nil\nreturn t.x'))) as lzc.ProgramError
  assert.instance(failed, lzc.ProgramError)
  assert.is(failed.code, 'PROGRAM_FAILED')
  assert.match(failed.lua, /:2: .*nil value/)
  assert.match(failed.lua, /stack traceback/)
  assert.match(failed.message, /attempt to index/)
  assert.is(failed.errno, 44)
  const thrown = (await failure(run('error({ reason = "mine", n = 3 })'))) as lzc.ProgramError
  assert.match(thrown.lua, /stack traceback/)
  assert.match((await failure(run('error("mine")'))).message, /it failed: .*mine\n/)
  const invalid = (await failure(run('retrun 1'))) as lzc.ProgramError
  assert.is(invalid.code, 'PROGRAM_INVALID')
  assert.match(invalid.lua, /syntax error/)
})

test('limits', async () => {
  const endless = 'while true do end'
  assert.is((await failure(run(endless, { instructionLimit: 1000n }))).code, 'PROGRAM_OUT_OF_TIME')
  const hungry = 'local t = {} for i = 1, 1000000 do t[i] = "x" .. i end return #t'
  assert.is((await failure(run(hungry, { memoryLimit: 100_000n }))).code, 'PROGRAM_OUT_OF_MEMORY')
  // Small in Lua, and larger as the list that it is returned as.
  const large = 'local s, t = string.rep("x", 1000), {} for i = 1, 500 do t[i] = s end return t'
  assert.is((await failure(run(large, { memoryLimit: 200_000n }))).code, 'RESULT_TOO_LARGE')
  assert.is((await failure(run('return 1', { memoryLimit: 200n * 1024n * 1024n }))).code, 'INVALID_ARGUMENT')
  assert.is((await failure(run('return 1', { instructionLimit: 2n ** 40n }))).code, 'INVALID_ARGUMENT')
  assert.instance(await failure(run('return 1', { memoryLimit: 2n ** 40n })), ArgumentError)
  for (const limit of [0n, -1n, 5 as unknown as bigint]) {
    assert.instance(await failure(run('return 1', { instructionLimit: limit })), ArgumentError)
    assert.instance(await failure(run('return 1', { memoryLimit: limit })), ArgumentError)
  }
})

test('in syncing context: the same errors', async () => {
  const sync = async (program: string, options: lzc.ProgramOptions = {}): Promise<string> =>
    (await failure(lzc.channelProgram(pool, program, options))).code
  assert.is(await sync('retrun 1'), 'PROGRAM_INVALID')
  assert.is(await sync('return nil.x'), 'PROGRAM_INVALID')
  assert.is(await sync('error("mine")'), 'PROGRAM_FAILED')
  assert.is(await sync('while true do end', { instructionLimit: 1000n }), 'PROGRAM_OUT_OF_TIME')
  const hungry = 'local t = {} for i = 1, 1000000 do t[i] = "x" .. i end return #t'
  assert.is(await sync(hungry, { memoryLimit: 100_000n }), 'PROGRAM_OUT_OF_MEMORY')
  const large = 'local s, t = string.rep("x", 1000), {} for i = 1, 500 do t[i] = s end return t'
  assert.is(await sync(large, { memoryLimit: 200_000n }), 'RESULT_TOO_LARGE')
  assert.is(await sync('return 1', { memoryLimit: 200n * 1024n * 1024n }), 'INVALID_ARGUMENT')
  assert.is((await failure(lzc.channelProgramNosync('nosuchpool', 'return 1'))).code, 'NOT_FOUND')
})

test('a program is ended by its signal', async () => {
  assert.is((await failure(run('return 1', { signal: AbortSignal.abort() }))).code, 'ABORTED')
  // That profile's kernel has one processor and lets nothing else run while Lua does.
  if (process.env.TEST_PROFILE === 'oldest') return
  assert.is(
    (
      await failure(
        run('while true do zfs.exists((...).name) end', {
          instructionLimit: 100_000_000n,
          arguments: { name: pool },
          signal: AbortSignal.timeout(50),
        }),
      )
    ).code,
    'TIMEOUT',
  )
  const long = { instructionLimit: 100_000_000n }
  for (const channelProgram of [lzc.channelProgram, lzc.channelProgramNosync]) {
    const abort = new AbortController()
    const running = failure(
      channelProgram(pool, 'while true do zfs.exists((...).name) end', {
        ...long,
        arguments: { name: pool },
        signal: abort.signal,
      }),
    )
    await pause(100)
    const started = performance.now()
    abort.abort()
    assert.is((await running).code, 'ABORTED')
    const milliseconds = performance.now() - started
    assert.ok(milliseconds < 1000, `it took ${milliseconds} ms`)
  }
})

test('arguments and pools that are refused', async () => {
  for (const bad of [{ x: 1.5 }, { x: 2n ** 63n }, { x: null }, { x: [1, 'a'] }, { x: undefined }]) {
    assert.instance(await failure(run('return 1', { arguments: bad as never })), ArgumentError)
  }
  assert.instance(await failure(run('return 1\0')), ArgumentError)
  assert.instance(await failure(lzc.channelProgram(`${pool}/x`, 'return 1')), ArgumentError)
  assert.is((await failure(lzc.channelProgram('nosuchpool', 'return 1'))).code, 'NOT_FOUND')
})

test.run()
