#!/usr/bin/env node
/**
 * Makes a bare clone ready to run: system packages, npm packages, the addon, the compiled TypeScript, with `--embedded` the
 * embedded engine and with `--lab PROFILE` (repeatable) the lab kernels. Every step is skipped when its result is there and
 * current.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const args = process.argv.slice(2)
const local = process.env.FLOCKER_ZFS_LAB === 'local'
const profiles = local ? [] : args.flatMap((word, i) => (word === '--lab' && args[i + 1] ? [args[i + 1]] : []))

if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node.js 20 or newer is needed; this is ${process.version}`)

installSystemPackages()
installNpmPackages()
run('The native addon', process.execPath, ['scripts/build-native.mjs'])
run('TypeScript', process.execPath, ['node_modules/typescript/bin/tsc'])
if (args.includes('--embedded')) {
  run('The embedded engine', process.execPath, ['scripts/build-embedded.mjs', '--require'])
}
if (profiles.length > 0) run('The lab kernels', process.execPath, ['build/test/lab/build/main.js', ...profiles])

function installSystemPackages() {
  const lists = JSON.parse(readFileSync(join(root, 'test/lab/system-packages.json'), 'utf8'))
  const wanted = [
    'g++',
    'make',
    'python3',
    // Elsewhere the embedded engine brings its own copies.
    ...(process.getuid() === 0 ? lists.embedded : []),
    ...(profiles.length > 0 ? [...lists.lab, ...lists.run] : []),
  ]
  const missing = [...new Set(wanted)].filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing]
  if (process.getuid() !== 0) {
    fail(
      `Some system packages are missing. As root, once:\n  apt-get update && ${install.join(' ')}\nThen run the same command again.`,
    )
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('The list of system packages', 'apt-get', ['update', '-qq'], env)
  run(`System packages (${missing.join(' ')})`, install[0], ['-qq', ...install.slice(1)], env)
}

function isInstalled(name) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg-query's own format
  const query = spawnSync('dpkg-query', ['-W', '-f=${Status}', name], { encoding: 'utf8' })
  if (query.error) fail(`dpkg-query: ${query.error.message}. Debian 12 or newer is needed to build from source.`)
  return query.stdout.endsWith(' installed')
}

function installNpmPackages() {
  const installed = join(root, 'node_modules/.package-lock.json')
  const current =
    existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
  if (!current) run('npm packages', 'npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'])
}

function run(what, command, words, env = process.env) {
  const started = Date.now()
  const done = spawnSync(command, words, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  if (done.error) fail(`${what}: ${done.error.message}`)
  if (done.status !== 0)
    fail(`${what}: ${command} ${words.join(' ')} ended with ${done.signal ?? `status ${done.status}`}`)
  const seconds = (Date.now() - started) / 1000
  if (seconds > 5) console.error(`${what}: ready after ${seconds.toFixed(0)} s`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
