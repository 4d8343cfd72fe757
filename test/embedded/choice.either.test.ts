/** Which engine a program uses, as its option, FLOCKER_ZFS_ENGINE and FLOCKER_ZFS_EMBEDDED_LIBRARY say. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCa, createHostCertificate } from '../../src/index.js'
import { build, useEngine, withDirectory } from './engine.js'
import { runProgram } from './program.js'

/** A directory with a host's credentials in `me`. */
function withCredentials(use: (directory: string) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    await createCa(join(directory, 'ca'))
    const host = { identity: 'me', addresses: ['127.0.0.1'] }
    await createHostCertificate(join(directory, 'ca'), join(directory, 'me'), host)
    await use(directory)
  })
}

const openEmbedded = `
  const host = await zfs.openHost({ embedded: directory, credentials: directory + '/me' })
  await host.createVolume('disk', { size: 1 << 20 })
  say({ root: host.root, embedded: lzc.isEmbedded() })
  await host.close()`

test('the option chooses the embedded engine, whatever the environment says', () =>
  withCredentials(async (directory) => {
    const answers: unknown[] = []
    for (const engine of [undefined, 'embedded', 'kernel']) {
      const body = openEmbedded.replaceAll('disk', `disk-${engine}`)
      answers.push(...(await runProgram(body, directory, { FLOCKER_ZFS_ENGINE: engine })))
    }
    assert.equal(answers, Array(3).fill({ root: 'embedded/flocker', embedded: true }))
  }))

test('FLOCKER_ZFS_ENGINE=embedded without the option: a pool in the directory that the environment names', () =>
  withCredentials(async (directory) => {
    const body = `
      const host = await zfs.openHost({ pool: 'own', credentials: directory + '/me' })
      const volume = await host.createVolume('disk', { size: 1 << 20 })
      say({ root: host.root })
      await host.close()`
    const env = { FLOCKER_ZFS_ENGINE: 'embedded', FLOCKER_ZFS_DIRECTORY: join(directory, 'pools') }
    assert.equal(await runProgram(body, directory, env), [{ root: 'own/flocker' }])
    assert.ok(existsSync(join(directory, 'pools/own.zpool')))
  }))

test('FLOCKER_ZFS_ENGINE=embedded without the option: a pool that the program has open is its own', () =>
  withCredentials(async (directory) => {
    const body = `
      await lzc.openPool(directory, 'own')
      const host = await zfs.openHost({ pool: 'own', credentials: directory + '/me' })
      const volume = await host.createVolume('disk', { size: 1 << 20 })
      await volume.write(0, Buffer.from('kept'))
      say({ root: host.root })
      await host.close()
      say({ kept: String(await lzc.readVolume('own/flocker/disk', 0n, 4)) })
      await lzc.closePool('own')`
    const said = await runProgram(body, directory, { FLOCKER_ZFS_ENGINE: 'embedded' })
    assert.equal(said, [{ root: 'own/flocker' }, { kept: 'kept' }])
  }))

test('another value is an error, and neither engine is loaded', () =>
  withCredentials(async (directory) => {
    const body = `await zfs.openHost({ pool: 'x', credentials: directory + '/me' })`
    const [error] = await runProgram(body, directory, { FLOCKER_ZFS_ENGINE: 'both' })
    assert.is(error?.code, 'INVALID_ARGUMENT')
    assert.match(error?.message ?? '', /FLOCKER_ZFS_ENGINE is "both"/)
  }))

test('an engine that is missing, or no engine: says what to install', () =>
  withCredentials(async (directory) => {
    const { library } = await build('2.3')
    const text = join(directory, 'text.so')
    await writeFile(text, 'no library')
    for (const file of [join(directory, 'none.so'), text, join(library, '../flocker_zfs.node')]) {
      const [error] = await runProgram(openEmbedded, directory, { FLOCKER_ZFS_EMBEDDED_LIBRARY: file })
      assert.is(error?.code, 'EMBEDDED_MISSING')
      const { message = '' } = error ?? {}
      assert.ok(message.includes(file), message)
      for (const part of ['build-embedded.mjs', 'gcc', 'libzpool6linux', 'libzfslinux-dev', 'libblkid1', 'libudev1']) {
        assert.ok(message.includes(part), `${part} in ${message}`)
      }
    }
  }))

test.before(async () => {
  await useEngine()
})

test.run()
