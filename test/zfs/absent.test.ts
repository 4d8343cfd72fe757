/** What is said where ZFS can't be used. Each process here has mounts of its own, in which a part of it is missing. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openAddon } from '../../src/lzc/native.js'

const packagePath = require.resolve('../../src/index.js')
const lzcPath = require.resolve('../../src/lzc/index.js')

interface Refusal {
  name: string
  code: string
  message: string
  next: string
}

/** Mounts something, then loads the package and asks it for something; as root, or by way of another program. */
async function refusalAfter(mount: string, ...by: string[]): Promise<Refusal> {
  const program = `
    require(${JSON.stringify(packagePath)})
    require(${JSON.stringify(lzcPath)}).exists('tank').then(
      () => console.log('{}'),
      ({ name, code, message, next }) => console.log(JSON.stringify({ name, code, message, next })))`
  const argv = ['--mount', 'sh', '-ec', `${mount} && exec "$@"`, 'sh', ...by, process.execPath, '-e', program]
  const { stdout } = await promisify(execFile)('unshare', argv)
  return JSON.parse(stdout)
}

test('without the kernel module the package loads, and calls say to load it', async () => {
  const { name, code, message, next } = await refusalAfter('mount -t tmpfs none /dev')
  assert.equal([name, code], ['AddonError', 'ZFS_UNAVAILABLE'])
  assert.match(message, /^\/dev\/zfs: no such device\. The zfs kernel module is not loaded/)
  assert.match(next, /modprobe zfs.*npm run demo/)
})

test('without the right to open /dev/zfs', async () => {
  const mount = 'cp -a /dev/zfs /tmp/zfs && chmod 0 /tmp/zfs && mount --bind /tmp/zfs /dev/zfs'
  const { name, code, next } = await refusalAfter(mount, 'setpriv', '--reuid=65534', '--clear-groups')
  assert.equal([name, code], ['AddonError', 'ZFS_PERMISSION'])
  assert.match(next, /Run as root, or .*zfs allow/)
})

test('without libzfs_core the package loads, and calls say what to install', async () => {
  const { name, code, message, next } = await refusalAfter(
    `mount --bind /dev/null "$(realpath ${openAddon().features().path})"`,
  )
  assert.equal([name, code], ['AddonError', 'ZFS_LIBRARY_MISSING'])
  assert.match(message, /^libzfs_core\.so\.3 can't be loaded: /)
  assert.match(next, /apt install zfsutils-linux/)
})

test.run()
