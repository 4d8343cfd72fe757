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

test.run()
