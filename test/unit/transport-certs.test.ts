import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { certsCommand } from '../../src/cli/certs.js'
import { ArgumentError } from '../../src/errors.js'
import { createCa, createHostCertificate, loadCredentials, parseCredentials } from '../../src/transport/index.js'
import { failure } from './transport-fixtures.js'

let directory: string

test.before.each(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-certs-'))
})

test.after.each(() => rm(directory, { recursive: true }))

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

async function run(...args: string[]): Promise<string> {
  const command = certsCommand().exitOverride()
  const write = process.stdout.write
  let text = ''
  process.stdout.write = ((chunk: string) => {
    text += chunk
    return true
  }) as typeof process.stdout.write
  try {
    await command.parseAsync(args, { from: 'user' })
  } finally {
    process.stdout.write = write
  }
  return text
}

test('the commands make credentials that load', async () => {
  const text = await run('init', '--directory', directory)
  assert.match(text, /flocker-zfs certs host NAME/)
  const facts = JSON.parse(
    await run(
      'host',
      'alpha',
      '--address',
      'alpha.example',
      '-a',
      '10.0.0.1',
      '-a',
      'fd00::1',
      '-d',
      directory,
      '--json',
    ),
  )
  assert.equal(facts.addresses, ['alpha.example', '10.0.0.1', 'fd00::1'])
  const credentials = await loadCredentials(join(directory, 'alpha'))
  assert.is(credentials.identity, 'alpha')
  const certificate = new X509Certificate(credentials.certificate)
  assert.is(
    certificate.subjectAltName,
    'URI:urn:flocker-zfs:host:alpha, DNS:alpha.example, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1',
  )
  assert.equal(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  assert.not(certificate.ca)
  const authority = new X509Certificate(credentials.ca)
  assert.ok(authority.ca)
  assert.ok(certificate.verify(authority.publicKey))
  assert.ok(certificate.checkIssued(authority))
  assert.is(await mode(join(directory, 'ca.key')), 0o600)
  assert.is(await mode(join(directory, 'alpha', 'host.key')), 0o600)
})

test('nothing is ever overwritten', async () => {
  await createCa(directory)
  const before = await readFile(join(directory, 'ca.key'), 'utf8')
  assert.is((await failure(createCa(directory))).code, 'INVALID_ARGUMENT')
  assert.is(await readFile(join(directory, 'ca.key'), 'utf8'), before)
  await createHostCertificate(directory, join(directory, 'a'), { identity: 'a' })
  const again = await failure(createHostCertificate(directory, join(directory, 'a'), { identity: 'a' }))
  assert.match(again.message, /exists and is never overwritten/)
})

test('a key that others can read is refused, and so is a mix of hosts', async () => {
  await createCa(directory)
  await createHostCertificate(directory, join(directory, 'a'), { identity: 'a' })
  await createHostCertificate(directory, join(directory, 'b'), { identity: 'b' })
  const [a, b] = await Promise.all(['a', 'b'].map((name) => loadCredentials(join(directory, name))))
  assert.ok(a && b)
  assert.throws(() => parseCredentials(a.ca, a.certificate, b.key), /not that of a's certificate/)
  assert.throws(() => parseCredentials(a.certificate, a.certificate, a.key), /was not signed by this CA/)
  assert.throws(() => parseCredentials(a.ca, 'rubbish', a.key), /not valid PEM/)
  await chmod(join(directory, 'a', 'host.key'), 0o640)
  const error = await failure(loadCredentials(join(directory, 'a')))
  assert.match(error.message, /others can read \(mode 640\)/)
  assert.is((await failure(loadCredentials(join(directory, 'nowhere')))).code, 'INVALID_ARGUMENT')
})

test('bad names, addresses and times are refused before anything is written', async () => {
  await createCa(directory)
  const out = join(directory, 'x')
  for (const identity of ['', 'A', 'a b', '-a', 'a/b', 'a,b', 'ä', 'a'.repeat(64)]) {
    await assertRefused(createHostCertificate(directory, out, { identity }))
  }
  for (const address of ['', 'a b', 'a/b', '1.2.3.4/8', 'a, URI:urn:flocker-zfs:host:root']) {
    await assertRefused(createHostCertificate(directory, out, { identity: 'a', addresses: [address] }))
  }
  for (const days of [0, -1, Number.NaN, 1e9])
    await assertRefused(createHostCertificate(directory, out, { identity: 'a', days }))
  await assertRefused(createHostCertificate(join(directory, 'no-ca'), out, { identity: 'a' }))
  assert.is((await failure(stat(out))).code, 'ENOENT')
})

async function assertRefused(promise: Promise<void>): Promise<void> {
  assert.instance(await failure(promise), ArgumentError)
}

test.run()
