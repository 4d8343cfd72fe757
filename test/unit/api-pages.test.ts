/** docs/api says what there is, and all that is public has a doc comment. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'

const script = join(__dirname, '../../../scripts/api-pages.mjs')

test('every public export is documented, and the pages are current', async () => {
  await promisify(execFile)(process.execPath, [script, '--check'])
})

test.run()
