#!/usr/bin/env node
// `npm run example:NAME`: makes a bare clone ready for an example, and runs it with the hosts that it needs.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const examples = {
  'two-hosts': { parts: ['--embedded'], program: 'run.js' },
  'live-postgres': { parts: ['--lab', 'newest'], program: 'lab.js' },
  orchestrator: { parts: ['--lab', 'newest'], program: 'lab.js' },
}
const [name, ...args] = process.argv.slice(2)
const example = examples[name]
if (example === undefined) {
  console.error(`Give the name of an example: ${Object.keys(examples).join(', ')}`)
  process.exit(2)
}

for (const words of [
  ['scripts/prepare.mjs', ...example.parts],
  [join('build/examples', name, example.program), ...args],
]) {
  const { status, error } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
