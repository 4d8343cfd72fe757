// Builds build/Release/flocker_zfs.node where it is older than what it is made from. FLOCKER_ZFS_SANITIZE=address,undefined
// builds one with these sanitizers, into build/sanitize. Never cleans build/: the compiled TypeScript lives there too.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)
const sanitizers = process.env.FLOCKER_ZFS_SANITIZE ?? ''
const directory = sanitizers === '' ? root : linkedDirectory(join(root, 'build/sanitize'))
const target = join(directory, 'build/Release/flocker_zfs.node')
const stamp = join(directory, 'build/Release/flocker_zfs.inputs')

/** node-gyp builds below the directory in which it finds the sources. */
function linkedDirectory(path) {
  mkdirSync(path, { recursive: true })
  for (const name of ['binding.gyp', 'native']) {
    if (!existsSync(join(path, name))) symlinkSync(join(root, name), join(path, name))
  }
  return path
}

/** What the result depends on: the sources, how they are built, and by which Node.js. */
function inputs() {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${sanitizers}`)
  const files = readdirSync(join(root, 'native'), { withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [join('native', entry.name)] : []))
    .sort()
  for (const file of ['binding.gyp', ...files]) hash.update(file).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

/** The installed Node.js's own headers, so that none are downloaded. */
function headers() {
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  return existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : []
}

const wanted = inputs()
if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) process.exit(0)

const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js')
for (const command of ['configure', 'build']) {
  const built = spawnSync(process.execPath, [nodeGyp, command, '--release', '--jobs=max', ...headers()], {
    cwd: directory,
    stdio: 'inherit',
  })
  if (built.status !== 0) {
    console.error(
      'The native addon was not built. It needs Python 3, make and a C++17 compiler: apt install python3 make g++',
    )
    process.exit(1)
  }
}
writeFileSync(stamp, wanted)
