import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { begin, compound, end, everyType, makeStream } from './stream-fixtures.js'

const main = join(__dirname, '../../src/cli/main.js')
let directory: string
const path = (name: string): string => join(directory, name)

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-inspect-'))
  await writeFile(path('single'), makeStream(everyType()))
  await writeFile(path('compound'), makeStream(compound(), false))
  await writeFile(path('bad'), makeStream(everyType()).fill(1, 5000, 5001))
  await writeFile(path('cut'), makeStream(everyType()).subarray(0, 9000))
  await writeFile(path('empty'), '')
  await writeFile(path('text'), 'no stream at all. '.repeat(100))
})

test.after(() => rm(directory, { recursive: true }))

interface Ran {
  status: unknown
  stdout: string
  stderr: string
}

function run(args: string[], input?: Buffer): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, 'inspect', ...args], (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    )
    child.stdin?.end(input)
  })
}

test('a table for people', async () => {
  const { status, stdout, stderr } = await run([path('single')])
  assert.is(status, 0, stderr)
  assert.match(stdout, /^tank\/a@1 \(filesystem, incremental\)\n {2}guid 18364758544493064720\n {2}from guid 7\n/)
  assert.match(stdout, /\nWRITE +2 +9216\n/)
  assert.match(stdout, /\ntotal +14 +10488\n/)
  assert.match(stdout, /14856 bytes, every checksum is right\n$/)
  assert.match((await run([path('compound')])).stdout, /^compound stream of tank@2: 2 streams\n/)
})

test('what a stream can hold does no harm to a terminal', async () => {
  const odd = begin({ toname: 'tank\x1b[2J@\x7f' })
  const late = {
    ...odd,
    fill: (view: DataView) => {
      odd.fill?.(view, true)
      view.setBigUint64(24, 2n ** 64n - 1n, true)
    },
  }
  const { status, stdout } = await run(['-'], makeStream([late, end()]))
  assert.is(status, 0)
  assert.match(stdout, /^tank\\x1b\[2J@\\x7f /)
  assert.match(stdout, /created at second 18446744073709551615/)
  assert.not.match(stdout, /\p{Cc}(?<!\n)/u)
})

test('JSON, of standard input too', async () => {
  const { status, stdout } = await run(['-', '--json'], makeStream(compound()))
  assert.is(status, 0)
  const { kind, complete, total, bytes, streams } = JSON.parse(stdout)
  assert.equal([kind, complete, total, bytes], ['compound', true, { count: 9, payloadBytes: '9096' }, '11904'])
  assert.is(streams[0].toguid, '18364758544493064720')
})

test('every record', async () => {
  const lines = (await run([path('single'), '--records'])).stdout.split('\n')
  assert.match(lines[5] ?? '', /^1776 WRITE payload=8192 object=2 .*offset=131072/)
  const json = (await run([path('single'), '--records', '--json'])).stdout.trim().split('\n')
  assert.is(json.length, 15)
  assert.equal(JSON.parse(json[4] as string), {
    type: 'FREEOBJECTS',
    offset: '1464',
    payloadBytes: 0,
    fields: { firstobj: '3', numobjs: '29' },
  })
})

test('what is bad has status 1, and what is misused 2', async () => {
  for (const [name, code] of Object.entries({
    bad: 'STREAM_CORRUPT',
    cut: 'STREAM_TRUNCATED',
    empty: 'STREAM_TRUNCATED',
    text: 'STREAM_INVALID',
  })) {
    const { status, stderr, stdout } = await run([path(name), '--json'])
    assert.is(status, 1, name)
    assert.match(stderr, new RegExp(`^StreamError \\[${code}\\] .*(byte \\d+|magic number)`), name)
    assert.is(stdout, '')
  }
  for (const args of [[], [path('none')], [directory], [path('single'), '--no-such'], ['a', 'b']]) {
    const { status, stderr } = await run(args)
    assert.is(status, 2, stderr)
  }
})

test.run()
