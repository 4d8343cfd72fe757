#!/usr/bin/env node
/**
 * Runs test/zfs and test/conformance on the newest profile's kernel with the addon built for AddressSanitizer and
 * UndefinedBehaviorSanitizer, whose first finding ends a test's process. The addon is built into build/sanitize, and takes the
 * usual one's place only in the lab's hosts. Files that measure are left out, but for the one with thousands of operations.
 *
 *     node scripts/sanitize.mjs [PATTERN ...]     only files whose label contains a pattern
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const addon = join(root, 'build/sanitize/build/Release/flocker_zfs.node')
const sanitizers = 'address,undefined'

if (process.env.FLOCKER_ZFS_LAB === 'local') {
  console.error('FLOCKER_ZFS_LAB=local has no hosts whose addon could be replaced')
  process.exit(1)
}
run(['scripts/build-native.mjs'], { FLOCKER_ZFS_SANITIZE: sanitizers })
const runtime = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim()
run(['build/test/run.js', ...chosen(process.argv.slice(2))], {
  FLOCKER_ZFS_SANITIZED: addon,
  FLOCKER_ZFS_SANITIZER: realpathSync(runtime),
  FLOCKER_ZFS_OPERATIONS: process.env.FLOCKER_ZFS_OPERATIONS ?? '1000',
})

/** The labels of the tests, see test/run.ts. */
function chosen(patterns) {
  const measures = (name) => name.includes('.alone.') && !name.startsWith('endurance.')
  const labels = ['zfs', 'conformance'].flatMap((directory) =>
    readdirSync(join(root, 'build/test', directory))
      .filter((name) => name.endsWith('.test.js') && !measures(name))
      .map((name) => `${directory}/${name} (newest)`),
  )
  return labels.filter((label) => patterns.length === 0 || patterns.some((pattern) => label.includes(pattern)))
}

function run(argv, env) {
  const { status } = spawnSync(process.execPath, argv, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
