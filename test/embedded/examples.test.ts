import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { useEngine } from './engine.js'

const program = join(__dirname, '../../examples/two-hosts/run.js')

test('examples/two-hosts: a volume is pushed and handed over, and the other host reads what was written last', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 120_000 })
  assert.match(stdout, /^beta has embedded\/flocker\/notes@flocker-\S+: full, \d+ bytes, guid \d+$/m)
  assert.match(stdout, /^beta owns notes since epoch 2; paused for \d+ ms$/m)
  assert.match(stdout, /^beta reads: Written at the last moment\.$/m)
})

test.before(useEngine)

test.run()
