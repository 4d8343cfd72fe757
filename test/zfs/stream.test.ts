import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { StreamError } from '../../src/errors.js'
import {
  decodeResumeToken,
  describeResumeToken,
  inspectStream,
  type RecordType,
  type StreamRecord,
  type StreamSummary,
} from '../../src/stream/index.js'
import { compound, everyType, makeStream } from '../unit/stream-fixtures.js'
import { byteswapped } from './byteswap.js'
import { eventually, failure, fill, filled, fresh, zfs } from './pool.js'

const execFileAsync = promisify(execFile)
const file = '/tmp/stream'

/** Runs a shell command line; `check: false` for one that is to fail. */
async function shell(line: string, { check = true } = {}): Promise<string> {
  try {
    return (await execFileAsync('sh', ['-c', line], { maxBuffer: 64 * 1024 * 1024 })).stdout
  } catch (error) {
    if (check) throw error
    return ''
  }
}

const inspect = (path = file): Promise<StreamSummary> => inspectStream(createReadStream(path))

/** The record types that zstream dump has a line of its own for. */
const counted = [
  'BEGIN',
  'END',
  'OBJECT',
  'FREEOBJECTS',
  'WRITE',
  'WRITE_BYREF',
  'WRITE_EMBEDDED',
  'FREE',
  'SPILL',
] as const

/** Compares our figures of a stream with those of zstream dump, which also checks its checksums. */
async function agrees(summary: StreamSummary, flags = ''): Promise<void> {
  const dump = await shell(`zstream dump ${flags} ${file} 2>&1`)
  assert.not.match(dump, /checksum in record|differs from|INVALID|[Ee]rror/)
  const number = (pattern: RegExp): bigint => BigInt(pattern.exec(dump)?.[1] ?? -1)
  for (const type of counted) {
    const { count, payloadBytes } = summary.records[type]
    const found = new RegExp(`Total DRR_${type} records = (\\d+) \\((\\d+) bytes\\)`).exec(dump)
    assert.equal([String(count), String(payloadBytes)], found?.slice(1), type)
  }
  assert.is(number(/Total records = (\d+)/), BigInt(summary.total.count))
  assert.is(number(/Total payload size = (\d+)/), summary.total.payloadBytes)
  assert.is(number(/Total header overhead = (\d+)/), summary.bytes - summary.total.payloadBytes)
  assert.is(number(/Total stream length = (\d+)/), summary.bytes)
  assert.is(BigInt((await stat(file)).size), summary.bytes)
}

/** Sends with these arguments, and compares. */
async function sent(args: string, ...types: RecordType[]): Promise<StreamSummary> {
  await shell(`zfs send ${args} > ${file}`)
  const summary = await inspect()
  await agrees(summary)
  assert.ok(summary.complete)
  for (const type of types) assert.ok(summary.records[type].count > 0, `${args}: no ${type} record`)
  return summary
}

const guidOf = async (name: string): Promise<bigint> => BigInt((await zfs('get', '-Hpo', 'value', 'guid', name)).trim())

test('full and incremental, with freed files and spilled attributes', async () => {
  const name = await filled(3)
  await writeFile(`/${name}/small`, 'x')
  await zfs('snapshot', `${name}@1`)
  const full = await sent(`${name}@1`, 'OBJECT', 'WRITE', 'FREE', 'FREEOBJECTS')
  assert.is(full.streams[0]?.toguid, await guidOf(`${name}@1`))
  assert.is(full.streams[0]?.toname, `${name}@1`)
  await rm(`/${name}/a0`)
  await fill(name, 'b', 1)
  await zfs('snapshot', `${name}@2`)
  const increment = await sent(`-i @1 ${name}@2`, 'FREE', 'WRITE')
  assert.is(increment.streams[0]?.fromguid, full.streams[0]?.toguid)
})

test('large blocks, embedded and compressed blocks, spills', async () => {
  const name = fresh()
  await zfs('create', '-o', 'compression=lz4', '-o', 'recordsize=1M', '-o', 'xattr=sa', '-o', 'dnodesize=auto', name)
  await fill(name, 'a', 2)
  await writeFile(`/${name}/zeros`, 'the same again and again. '.repeat(100_000))
  for (let i = 0; i < 20; i++) await writeFile(`/${name}/tiny${i}`, `${i}`.repeat(1000))
  await spilled(name)
  await zfs('snapshot', `${name}@1`)
  await sent(`${name}@1`, 'SPILL')
  const { streams } = await sent(`-L -e -c ${name}@1`, 'WRITE_EMBEDDED', 'WRITE', 'SPILL')
  for (const feature of ['large_blocks', 'embed_data', 'compressed', 'lz4', 'large_dnode'])
    assert.ok(streams[0]?.features.includes(feature), feature)
})

/** Gives a file more attributes than its dnode has room for. */
async function spilled(name: string): Promise<void> {
  const code = `import os; os.setxattr("/${name}/a0", "user.long", b"x" * 20000)`
  await execFileAsync('python3', ['-c', code])
}

test('encrypted, raw', async () => {
  const name = fresh()
  await writeFile('/tmp/stream-key', '0'.repeat(64))
  await zfs('create', '-o', 'encryption=on', '-o', 'keyformat=hex', '-o', 'keylocation=file:///tmp/stream-key', name)
  await fill(name, 'a', 2)
  await zfs('snapshot', `${name}@1`)
  await rm(`/${name}/a1`)
  await zfs('snapshot', `${name}@2`)
  const { streams } = await sent(`-w ${name}@1`, 'OBJECT_RANGE', 'WRITE', 'OBJECT')
  assert.ok(streams[0]?.features.includes('raw'))
  await sent(`-w -i @1 ${name}@2`, 'OBJECT_RANGE')
})

test('compound: -R with children, -I, -p', async () => {
  const name = await filled(1)
  await zfs('snapshot', `${name}@0`)
  await zfs('create', '-o', 'org.example:why=test', `${name}/child`)
  await fill(`${name}/child`, 'c', 1)
  for (const snapshot of ['1', '2', '3']) {
    await fill(name, snapshot, 1)
    await zfs('snapshot', '-r', `${name}@${snapshot}`)
  }
  const whole = await sent(`-R ${name}@3`, 'OBJECT', 'WRITE')
  assert.is(whole.kind, 'compound')
  assert.is(whole.toname, `${name}@3`)
  assert.is(whole.streamCount, 7)
  assert.is(whole.streams.at(-1)?.toname, `${name}/child@3`)
  const several = await sent(`-I @0 ${name}@3`)
  assert.equal(
    several.streams.map(({ toname }) => toname),
    ['1', '2', '3'].map((snapshot) => `${name}@${snapshot}`),
  )
  assert.is((await sent(`-R -I @1 ${name}@3`)).streamCount, 4)
  assert.is((await sent(`-p ${name}@1`)).streamCount, 1)
})

test('a volume, also as a machine of the other byte order sends it', async () => {
  const name = fresh()
  await zfs('create', '-V', '16M', '-b', '8K', name)
  // Without udev there is no /dev/zvol; the kernel calls a host's only block volume zd0.
  const devices = [`/dev/zvol/${name}`, '/dev/zd0']
  await eventually(() => devices.some(existsSync))
  const device = devices.find(existsSync)
  await shell(`dd if=/dev/urandom of=${device} bs=1M count=4 conv=fsync status=none`)
  await zfs('snapshot', `${name}@1`)
  const { streams, records } = await sent(`-c ${name}@1`, 'WRITE')
  assert.is(streams[0]?.type, 'volume')
  assert.ok(records.WRITE.count > 500)

  const plain = await sent(`${name}@1`)
  const digest = await blocksDigest()
  await writeFile(file, byteswapped(await readFile(file)))
  const swapped = await inspect()
  await agrees(swapped, '-C')
  assert.ok(swapped.streams[0]?.byteswapped)
  assert.equal({ ...swapped, streams: [] }, { ...plain, streams: [] })
  const to = fresh()
  await zfs('create', '-o', 'volmode=none', to)
  await shell(`zfs receive -u ${to}/v < ${file}`)
  assert.is(await guidOf(`${to}/v@1`), await guidOf(`${name}@1`))
  assert.is(await zfs('get', '-Hpo', 'value', 'volsize', `${to}/v`), '16777216\n')
  await sent(`${to}/v@1`)
  assert.is(await blocksDigest(), digest)
})

/** A digest of the blocks in the file's stream, and of where each belongs. */
async function blocksDigest(): Promise<string> {
  const stream = await readFile(file)
  const hash = createHash('sha256')
  const onRecord = ({ type, offset, payloadBytes, fields }: StreamRecord): void => {
    if (type !== 'WRITE') return
    const start = Number(offset) + 312
    hash.update(`${fields.object} ${fields.offset} `).update(stream.subarray(start, start + payloadBytes))
  }
  await inspectStream(createReadStream(file), { onRecord })
  return hash.digest('hex')
}

test('redacted', async () => {
  const name = await filled(3)
  await zfs('snapshot', `${name}@1`)
  const clones = [fresh(), fresh()]
  for (const clone of clones) {
    await zfs('clone', `${name}@1`, clone)
    await fill(clone, 'a', 1)
    await zfs('snapshot', `${clone}@1`)
  }
  const redactions = clones.map((clone) => `${clone}@1`)
  await zfs('redact', `${name}@1`, 'book', ...redactions)
  const guids = (await Promise.all(redactions.map(guidOf))).sort()
  const { streams } = await sent(`--redact book ${name}@1`, 'REDACT')
  assert.ok(streams[0]?.features.includes('redacted'))
  const { decoded, to, token } = await cut(0.6)
  assert.equal(decoded.redactSnapshots?.sort(), guids)
  await sent(`-t ${token}`)
  await shell(`zfs receive -su ${to} < ${file}`)
  await fill(name, 'b', 2)
  await zfs('snapshot', `${name}@2`)
  await sent(`-i '#book' ${name}@2`, 'WRITE')
  const second = await cut(0.6, to)
  assert.equal(second.decoded.bookRedactSnapshots?.sort(), guids)
})

/** What a receive leaves that gets only the first part of the stream in the file; its description is zfs's too. */
async function cut(part: number, to = fresh()) {
  const bytes = Math.floor((await stat(file)).size * part)
  await shell(`head -c ${bytes} ${file} | zfs receive -su ${to}`, { check: false })
  const token = (await zfs('get', '-Hpo', 'value', 'receive_resume_token', to)).trim()
  const described = await shell(`zfs send -nvt ${token} 2>&1`)
  const ours = describeResumeToken(token)
  assert.is(described.slice(0, ours.length + 1), `${ours}\n`)
  assert.not.match(described.slice(ours.length + 1), /^\t/, 'we say all of it')
  return { token, decoded: decodeResumeToken(token), to }
}

test('tokens of cut receives, and the streams that go on from them', async () => {
  const name = await filled(4)
  await zfs('snapshot', `${name}@1`)
  await fill(name, 'b', 4)
  await zfs('snapshot', `${name}@2`)
  await sent(`-L -e -c ${name}@1`)
  const { token, decoded, to } = await cut(0.6)
  assert.is(decoded.toname, `${name}@1`)
  assert.is(decoded.toguid, await guidOf(`${name}@1`))
  assert.is(decoded.fromguid, undefined)
  assert.ok(decoded.largeBlocks || decoded.compressed)
  assert.ok(decoded.bytes > 1_000_000n)
  const { streams } = await sent(`-t ${token}`)
  assert.ok(streams[0]?.features.includes('resuming'))
  assert.equal(streams[0]?.resume, { object: decoded.object, offset: decoded.offset })
  await shell(`zfs receive -su ${to} < ${file}`)
  await sent(`-i @1 ${name}@2`)
  const second = await cut(0.5, to)
  assert.is(second.decoded.fromguid, decoded.toguid)
  await sent(`-t ${second.token}`)
  await shell(`zfs receive -su ${to} < ${file}`)
  assert.is(await guidOf(`${to}@2`), await guidOf(`${name}@2`))
})

test('what the kernel refuses as damaged is refused here, and where', async () => {
  const name = await filled(1)
  await zfs('snapshot', `${name}@1`)
  await sent(`${name}@1`)
  const { size } = await stat(file)
  const handle = await open(file, 'r+')
  for (const part of [0.001, 0.2, 0.5, 0.7, 0.9, 0.999]) {
    const at = Math.max(400, Math.floor(size * part))
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, at)
    await handle.write(Buffer.of((byte[0] as number) ^ 0x10), 0, 1, at)
    const error = (await failure(inspect())) as StreamError
    assert.instance(error, StreamError)
    assert.is(error.code, 'STREAM_CORRUPT', error.message)
    assert.ok(Number(error.offset) > at - 400, `byte ${at}: ${error.message}`)
    const to = fresh()
    await shell(`zfs receive -u ${to} < ${file}`, { check: false })
    assert.match(await shell(`zfs list ${to} 2>&1 || true`), /does not exist/, `byte ${at}`)
    await handle.write(byte, 0, 1, at)
  }
  await handle.close()
  assert.ok((await inspect()).complete)
})

for (const little of [true, false]) {
  test(`crafted records of ${little ? 'little' : 'big'}-endian machines`, async () => {
    // zstream does not know the checksums of records of the other byte order, so it is told not to look.
    for (const records of [everyType(), compound()]) {
      await writeFile(file, makeStream(records, little))
      await agrees(await inspect(), little ? '' : '-C')
    }
  })
}

test.run()
