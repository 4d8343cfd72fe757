/** docs/lzc.md says what there is, and there is everything. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lzcFunctions } from '../../src/lzc/functions.js'

const script = join(__dirname, '../../../scripts/lzc-table.mjs')

test("each of libzfs_core's functions has a counterpart, and the page is current", async () => {
  await promisify(execFile)(process.execPath, [script, '--check'])
})

test('the releases', () => {
  const count = (release: string): number => Object.values(lzcFunctions).filter((each) => each <= release).length
  assert.equal([count('2.1'), count('2.2'), count('2.3')], [46, 52, 55])
})

test.run()
