#!/usr/bin/env node
/**
 * Writes docs/api: a page for each entry point, from the doc comments of what it exports. Fails where one of those has none.
 *
 *   --check    write nothing; fail where a page is stale
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tool = join(root, 'scripts/api-docs')
const pages = join(root, 'docs/api')

function make(directory) {
  const require = createRequire(join(tool, 'package.json'))
  const typedoc = join(dirname(require.resolve('typedoc/package.json')), 'bin/typedoc')
  const argv = [typedoc, '--options', join(tool, 'typedoc.json'), '--out', directory, '--logLevel', 'Warn']
  const { status } = spawnSync(process.execPath, argv, { cwd: tool, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const read = (directory) =>
  Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  )

function check() {
  const directory = mkdtempSync(join(tmpdir(), 'flocker-api-'))
  try {
    make(directory)
    if (JSON.stringify(read(directory)) === JSON.stringify(read(pages))) return
    console.error('docs/api is stale: node scripts/api-pages.mjs')
    process.exitCode = 1
  } finally {
    rmSync(directory, { recursive: true })
  }
}

if (process.argv.includes('--check')) check()
else make(pages)
