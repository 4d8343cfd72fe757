/** A machine without ZFS, as this one may be: see test/zfs/absent.test.ts for the others. */
import { existsSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const entries = ['flocker-zfs', 'flocker-zfs/lzc', 'flocker-zfs/datasets', 'flocker-zfs/stream']

test('where ZFS is absent everything can be imported, and a call says what to do', async () => {
  for (const entry of entries) assert.ok(Object.keys(await import(entry)).length > 0, entry)
  if (existsSync('/dev/zfs')) return
  const { AddonError } = await import('flocker-zfs')
  const { exists, features } = await import('flocker-zfs/lzc')
  const { getProperties } = await import('flocker-zfs/datasets')
  for (const call of [() => exists('tank'), async () => features(), () => getProperties('tank')]) {
    const error = await call().then(
      () => assert.unreachable(),
      (reason) => reason,
    )
    assert.instance(error, AddonError)
    assert.ok(['ZFS_LIBRARY_MISSING', 'ZFS_UNAVAILABLE'].includes(error.code), error.code)
    assert.match(error.message, /^(libzfs_core\.so\.3 can't be loaded|libnvpair\.so\.3 can't be loaded|\/dev\/zfs: )/)
    assert.match(error.message, /apt install zfs/)
  }
})

test.run()
