import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

for (const name of [
  'flocker-zfs',
  'flocker-zfs/lzc',
  'flocker-zfs/datasets',
  'flocker-zfs/stream',
  'flocker-zfs/metrics',
  'flocker-zfs/routing',
]) {
  test(`${name}: import and require give one and the same`, async () => {
    const required: Record<string, unknown> = require(name)
    const imported: Record<string, unknown> = await import(name)
    const names = Object.keys(required).filter((key) => key !== '__esModule')
    assert.ok(names.length >= (name === 'flocker-zfs/metrics' ? 1 : 5))
    for (const key of names) assert.is(imported[key], required[key], key)
  })
}

test('the addon is not needed to load the package', () => {
  const { FlockerError, ArgumentError } = require('flocker-zfs') as typeof import('flocker-zfs')
  assert.instance(new ArgumentError('no'), FlockerError)
})

test('the command line tells the version', async () => {
  const root = join(dirname(require.resolve('flocker-zfs')), '../..')
  const { version, bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, bin['flocker-zfs']), '--version'])
  assert.is(stdout, `${version}\n`)
})

test.run()
