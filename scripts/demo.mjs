#!/usr/bin/env node
// `npm run demo`: makes a bare clone ready for the demo, with `--lab` also the lab kernels, and runs it.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const args = process.argv.slice(2)
const parts = args.includes('--lab') ? ['--lab', 'newest'] : ['--embedded']

for (const words of [
  ['scripts/prepare.mjs', ...parts],
  ['build/examples/demo/main.js', ...args],
]) {
  const { status, error } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
