import { execFileSync, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AbortError, ArgumentError, TimeoutError } from '../../src/errors.js'
import { type Host, type Lab, LabCommandError, LabError, openLab } from '../lab/index.js'
import { cacheDirectory } from '../lab/paths.js'

let lab: Lab
let alpha: Host
let beta: Host

test.before(async () => {
  lab = await openLab({ hosts: [{ name: 'alpha' }, { name: 'beta', profile: 'oldest', disks: ['1 GiB', '1 GiB'] }] })
  alpha = lab.host('alpha')
  beta = lab.host('beta')
})

test.after(async () => {
  await lab[Symbol.asyncDispose]()
})

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.unreachable('it did not fail')
}

/** Serves TCP on the host: each connection is told the SHA-256 of what it sent, in hexadecimal. */
async function serveHashes(host: Host, port: number): Promise<AsyncDisposable> {
  const program = `
    require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
      const hash = require('node:crypto').createHash('sha256')
      socket.on('data', (bytes) => hash.update(bytes)).on('end', () => socket.end(hash.digest('hex'))).on('error', () => socket.destroy())
    }).listen(${port}, () => console.log('listening'))`
  const server = host.spawn(['node', '-e', program])
  assert.is(await server.nextLine(), 'listening')
  return {
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGKILL')
      await server.exit
    },
  }
}

interface Exchange {
  hash: string
  milliseconds: number
}

/** Sends that many zero bytes from one host to the server on another and returns its answer. */
async function exchange(from: Host, to: Host, port: number, bytes: number, patience = 20_000): Promise<Exchange> {
  const program = `
    const begin = performance.now(), socket = require('node:net').connect(${port}, '${to.name}')
    let hash = ''
    socket.on('data', (text) => { hash += text }).on('end', () => {
      console.log(JSON.stringify({ hash, milliseconds: performance.now() - begin }))
    })
    socket.end(Buffer.alloc(${bytes}))`
  const { stdout } = await from.run(['node', '-e', program], { timeoutMilliseconds: patience })
  return JSON.parse(stdout)
}

function hashOfZeros(bytes: number): string {
  return createHash('sha256').update(Buffer.alloc(bytes)).digest('hex')
}

test('hosts say how long they took to boot', () => {
  for (const { name, bootMilliseconds } of lab.hosts) {
    assert.ok(bootMilliseconds > 0)
    console.log(`measured: ${name} booted in ${Math.round(bootMilliseconds)} ms`)
  }
})

test('each host runs its own kernel, module and matching tools', async () => {
  for (const [host, version] of [
    [alpha, /^zfs-2\.4\.\d+.*\nzfs-kmod-2\.4/],
    [beta, /^zfs-2\.1\.\d+.*\nzfs-kmod-2\.1/],
  ] as const) {
    assert.match((await host.run(['zfs', 'version'])).stdout, version)
    assert.is((await host.run(['hostname'])).stdout.trim(), host.name)
  }
})

test('the clock is right', async () => {
  const guest = Number((await alpha.run(['date', '+%s'])).stdout)
  assert.ok(Math.abs(guest - Date.now() / 1000) < 2)
})

test('a command returns its status and both outputs', async () => {
  const script = 'echo out; echo err >&2; exit 3'
  const result = await alpha.run(['sh', '-c', script], { check: false })
  assert.equal([result.status, result.signal, result.stdout, result.stderr], [3, null, 'out\n', 'err\n'])
  const error = await failure(alpha.run(['sh', '-c', script]))
  assert.instance(error, LabCommandError)
  assert.match((error as LabCommandError).message, /exit status 3\nerr\nout/)
  const killed = await alpha.run(['sh', '-c', 'kill -TERM $$'], { check: false })
  assert.equal([killed.status, killed.signal], [null, 'SIGTERM'])
})

test('a command that is not there is named', async () => {
  const error = await failure(alpha.run(['no-such-command']))
  assert.instance(error, LabError)
  assert.match((error as LabError).message, /no-such-command: No such file/)
})

test('environment, directory and user reach the command', async () => {
  const result = await alpha.run(['sh', '-c', 'echo $COLOUR $PWD $(id -u)'], {
    env: { COLOUR: 'blue' },
    cwd: '/usr',
    user: 1234,
  })
  assert.is(result.stdout, 'blue /usr 1234\n')
})

test('files go both ways', async () => {
  for (const size of [0, 1, 100_000, 5_000_000]) {
    const data = randomBytes(size)
    await alpha.writeFile('/srv/file', data)
    assert.ok(data.equals(await alpha.readFile('/srv/file')), `${size} bytes`)
  }
})

test('many short commands in a row, and a large output that is complete', async () => {
  for (const host of lab.hosts) {
    await host.run(['true'])
    const times: number[] = []
    for (let count = 0; count < 20; count++) {
      const begin = performance.now()
      await host.run(['true'])
      times.push(performance.now() - begin)
    }
    const each = Math.min(...times) // the machine may be busy with other things
    const begin = performance.now()
    const bytes = 32 * 2 ** 20
    const { stdoutBytes } = await host.run(['head', '-c', `${bytes}`, '/dev/zero'])
    const rate = bytes / 2 ** 20 / ((performance.now() - begin) / 1000)
    console.log(`measured: ${host.name}: true in ${each.toFixed(1)} ms, output at ${rate.toFixed(0)} MiB/s`)
    assert.is(stdoutBytes.length, bytes)
  }
})

test('many commands at a time do not mix', async () => {
  const numbers = Array.from({ length: 20 }, (_, index) => index)
  const outputs = await Promise.all(numbers.map((number) => alpha.run(['sh', '-c', `sleep 0.1; seq ${number} 20000`])))
  for (const number of numbers) assert.is(outputs[number]?.stdout.split('\n').length, 20002 - number)
})

test('a spawned command streams both ways and obeys signals', async () => {
  const echo = alpha.spawn(['cat'])
  const data = randomBytes(300_000)
  const chunks: Buffer[] = []
  echo.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  echo.stdin.end(data)
  assert.equal(await echo.exit, { status: 0, signal: null })
  assert.ok(Buffer.concat(chunks).equals(data))

  const idle = alpha.spawn(['sleep', '1000'])
  assert.ok((await idle.started) > 1)
  idle.kill()
  assert.equal(await idle.exit, { status: null, signal: 'SIGTERM' })
})

test('an unread output makes its command wait, not its host', async () => {
  const endless = alpha.spawn(['yes'])
  await endless.started
  await sleep(300)
  assert.ok(endless.stdout.readableLength < 2 ** 20)
  await alpha.run(['true'])
  endless.kill('SIGKILL')
})

test('a deadline or an abort kills the whole process group', async () => {
  const script = 'sleep 1001 & sleep 1001'
  assert.instance(await failure(alpha.run(['sh', '-c', script], { timeoutMilliseconds: 200 })), TimeoutError)
  const signal = AbortSignal.abort()
  assert.instance(await failure(alpha.run(['sh', '-c', script], { signal })), AbortError)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 100)
  assert.instance(await failure(alpha.run(['sh', '-c', script], { signal: controller.signal })), AbortError)
  assert.is((await alpha.run(['pgrep', '-f', 'sleep 1001'], { check: false })).stdout, '')
})

test('a child in the background does not hold a run', async () => {
  const begin = performance.now()
  await alpha.run(['sh', '-c', 'sleep 60 & echo done'])
  assert.ok(performance.now() - begin < 30_000)
})

test('a terminal is a terminal', async () => {
  const shell = alpha.spawn(['sh', '-c', 'tty; stty size'], { terminal: { rows: 33, columns: 99 } })
  assert.match((await shell.nextLine()) ?? '', /^\/dev\/pts\//)
  assert.is(await shell.nextLine(), '33 99')
})

test('hosts reach each other by name', async () => {
  await using _server = await serveHashes(beta, 7000)
  const bytes = 32 * 2 ** 20
  const { hash, milliseconds } = await exchange(alpha, beta, 7000, bytes)
  assert.is(hash, hashOfZeros(bytes))
  console.log(`measured: plain TCP at ${(bytes / 2 ** 20 / (milliseconds / 1000)).toFixed(0)} MiB/s`)
})

test('a delayed link takes its time', async () => {
  await using _server = await serveHashes(beta, 7001)
  await lab.link('beta').delay(100)
  const { milliseconds } = await exchange(alpha, beta, 7001, 1)
  await lab.link('beta').clear()
  assert.ok(milliseconds >= 400, `${milliseconds} ms for two round trips of 200 ms`)
})

test('a throttled link carries no more', async () => {
  await using _server = await serveHashes(beta, 7002)
  await lab.link('alpha').throttle(2 ** 20)
  const bytes = 2 * 2 ** 20
  const { hash, milliseconds } = await exchange(alpha, beta, 7002, bytes)
  await lab.link('alpha').clear()
  assert.is(hash, hashOfZeros(bytes))
  assert.ok(milliseconds >= 1900, `${milliseconds} ms`)
})

test('garbled bytes pass the checksums and arrive', async () => {
  await using _server = await serveHashes(beta, 7003)
  const before = await lab.link('alpha').stats()
  await lab.link('alpha').garble(0.2)
  const bytes = 2 ** 20
  const { hash } = await exchange(alpha, beta, 7003, bytes)
  await lab.link('alpha').clear()
  const after = await lab.link('alpha').stats()
  assert.ok(after.sent.garbled > before.sent.garbled)
  assert.is.not(hash, hashOfZeros(bytes))
})

test('a cut link is silent, a restored one goes on', async () => {
  await using _server = await serveHashes(beta, 7004)
  await lab.link('beta').cut()
  assert.instance(await failure(exchange(alpha, beta, 7004, 1, 1500)), TimeoutError)
  const held = exchange(alpha, beta, 7004, 1)
  await sleep(500)
  await lab.link('beta').restore()
  assert.is((await held).hash, hashOfZeros(1))
})

test('a pool survives a power cut', async () => {
  for (const host of lab.hosts) {
    await host.run(['zpool', 'create', '-O', 'compression=off', 'tank', ...host.disks])
    const data = randomBytes(1_000_000)
    await host.writeFile('/tank/file', data)
    await host.run(['sync', '/tank/file'])
    const sleeper = host.spawn(['sleep', '1000'])
    const line = sleeper.nextLine()
    const interrupted = failure(host.run(['sleep', '1000']))
    await sleeper.started
    await host.cutPower()
    assert.is(((await interrupted) as LabError).code, 'HOST_OFF')
    assert.is(((await failure(sleeper.exit)) as LabError).code, 'HOST_OFF')
    assert.is(await line, null)
    assert.is(((await failure(host.run(['true']))) as LabError).code, 'HOST_OFF')
    await host.boot()
    await host.importPools()
    assert.ok(data.equals(await host.readFile('/tank/file')))
    assert.match((await host.run(['zpool', 'status', '-x'])).stdout, /healthy/)
  }
})

test('a host that dies says what its console said', async () => {
  await using own = await openLab({ hosts: [{ name: 'victim' }] })
  const victim = own.host('victim')
  const waiting = failure(victim.run(['sleep', '1000']))
  await failure(victim.run(['sh', '-c', 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger']))
  const error = await waiting
  assert.is((error as LabError).code, 'HOST_DIED')
  assert.match((error as LabError).message, /sysrq triggered crash/)
})

test('a boot has a deadline and can be aborted', async () => {
  const hosts = [{ name: 'late' }]
  assert.instance(await failure(openLab({ hosts, bootTimeoutMilliseconds: 1 })), TimeoutError)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 50)
  assert.instance(await failure(openLab({ hosts, signal: controller.signal })), AbortError)
})

test('a machine with ZFS can itself be the lab', async () => {
  const before = (await alpha.run(['zpool', 'list', '-H', '-o', 'name'])).stdout
  await alpha.runEntry('test/lab/local-check.ts', [], { env: { XDG_CACHE_HOME: dirname(dirname(cacheDirectory())) } })
  assert.is((await alpha.run(['zpool', 'list', '-H', '-o', 'name'])).stdout, before)
  assert.not.match((await alpha.run(['ls', '/tmp'])).stdout, /flocker-zfs-lab/)
})

test('bad input is refused before anything starts', async () => {
  assert.instance(await failure(openLab({ hosts: [] })), ArgumentError)
  assert.instance(await failure(openLab({ hosts: [{ name: 'a b' }] })), ArgumentError)
  assert.instance(await failure(openLab({ hosts: [{ name: 'a' }, { name: 'a' }] })), ArgumentError)
  assert.instance(await failure(openLab({ hosts: [{ name: 'a', disks: ['much'] }] })), ArgumentError)
})

/** Lab directories, and the processes that hold one in their command line. */
function remains(of: string): string[] {
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n')
  return [...readdirSync(tmpdir()), ...processes].filter((line) => line.includes(of))
}

test('a closed lab leaves nothing', async () => {
  const own = await openLab({ hosts: [{ name: 'one' }, { name: 'two', profile: 'oldest' }] })
  assert.ok(remains(own.directory).length > 0)
  await own[Symbol.asyncDispose]()
  assert.equal(remains(own.directory), [])
})

for (const end of ['SIGKILL', 'SIGINT', 'SIGTERM', 'uncaught'] as const) {
  test(`a harness that ends by ${end} leaves nothing`, async () => {
    const child = spawn(process.execPath, [`${__dirname}/../lab/orphan.js`, end], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    const output = new Promise<string>((resolve) =>
      child.stdout.once('data', (text: Buffer) => resolve(text.toString().trim())),
    )
    const directory = await output
    assert.ok(remains(directory).length > 0)
    if (end === 'SIGKILL' && child.pid !== undefined) process.kill(-child.pid, end)
    else if (end !== 'uncaught') child.kill(end)
    const patience = AbortSignal.timeout(5000)
    while (remains(directory).length > 0 && !patience.aborted) await sleep(50)
    assert.equal(remains(directory), [])
  })
}

test.run()
