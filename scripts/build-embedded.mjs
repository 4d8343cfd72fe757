#!/usr/bin/env node
/**
 * Builds build/Release/flocker_zfs_embedded.so, OpenZFS in user space for pools in files, from native/embedded and Debian's
 * libzpool: the installed packages where they are, otherwise downloaded and unpacked, which needs no root.
 *
 *   --zfs 2.1     the newest 2.1 there is, instead of the newest at all (also FLOCKER_ZFS_EMBEDDED_ZFS)
 *   --output FILE
 *   --no-download only with packages that are installed, or were unpacked before
 *   --require     fail where it can't be built, instead of saying so and leaving it out
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sources = join(root, 'native/embedded')
const { values: options } = parseArgs({
  options: {
    zfs: { type: 'string' },
    output: { type: 'string' },
    'no-download': { type: 'boolean', default: false },
    require: { type: 'boolean', default: false },
  },
})
const wanted = options.zfs ?? process.env.FLOCKER_ZFS_EMBEDDED_ZFS ?? ''
const output = resolve(options.output ?? join(root, 'build/Release/flocker_zfs_embedded.so'))
const stamp = `${output}.inputs`
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flocker-zfs/embedded')

/** What the library is loaded with. libzfs_core only because 2.1's libzpool asks for it. */
const libraries = /^lib(zpool|nvpair|zfs_core)\.so\.\d+$/

/** What libzpool is loaded with, and Debian's packages of it: taken along where the machine lacks one. */
const companions = { 'libtirpc.so.3': 'libtirpc3', 'libblkid.so.1': 'libblkid1', 'libudev.so.1': 'libudev1' }

class Unavailable extends Error {}

try {
  await main()
} catch (error) {
  if (!(error instanceof Unavailable)) throw error
  console.error(`The embedded engine was not built: ${error.message}`)
  process.exitCode = options.require ? 1 : 0
}

async function main() {
  if (isCurrent()) return
  const packages = fromSystem() ?? fromCache()
  if (packages === undefined && options['no-download']) {
    throw new Unavailable('it needs libzfslinux-dev and libzpool6linux (or libzpool5linux; Debian: section contrib)')
  }
  await build(packages ?? download())
}

/** The sources, how they are built, and of which release: what the result depends on. */
function inputs() {
  const hash = createHash('sha256').update(`${process.arch} ${wanted} ${readFileSync(fileURLToPath(import.meta.url))}`)
  for (const file of readdirSync(sources, { recursive: true }).sort()) {
    if (/\.[ch]$/.test(file)) hash.update(file).update(readFileSync(join(sources, file)))
  }
  hash.update(readFileSync(join(root, 'native/ioctl_numbers.h')))
  return hash.digest('hex')
}

function isCurrent() {
  return existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs()
}

function run(command, words, env = process.env) {
  const done = spawnSync(command, words, {
    encoding: 'utf8',
    env,
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (done.error) throw new Unavailable(`${command}: ${done.error.message}`)
  if (done.status !== 0) throw new Unavailable(`${command} ${words.join(' ')}:\n${done.stderr.trim()}`)
  return done.stdout
}

/** The upstream release of a Debian version: 2.3.2-2~bpo12+2 is 2.3.2. */
function release(version) {
  return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '')
}

function fits(version) {
  const numbers = release(version).split('.').map(Number)
  const supported = numbers[0] === 2 && numbers[1] >= 1
  return supported && (wanted === '' || wanted.split('.').every((part, i) => Number(part) === numbers[i]))
}

function compareReleases(left, right) {
  return spawnSync('dpkg', ['--compare-versions', left, 'lt', right]).status === 0 ? 1 : -1
}

/** The files of an installed development package, and of the libraries that belong to it. */
function fromSystem() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg-query's own format
  const query = spawnSync('dpkg-query', ['-W', '-f=${Version}', 'libzfslinux-dev'], { encoding: 'utf8' })
  if (query.error || query.status !== 0 || query.stdout === '' || !fits(query.stdout)) return undefined
  return { version: release(query.stdout), prefix: '/' }
}

function fromCache() {
  if (!existsSync(cache)) return undefined
  const versions = readdirSync(cache).filter((name) => /^[\d.]+$/.test(name) && fits(`${name}-1`))
  const [version] = versions.sort(compareReleases)
  return version && { version, prefix: join(cache, version) }
}

/** An apt of our own: the machine's stays as it is, no root is needed, and another build's apt is not in its way. */
function privateApt() {
  const directory = join(cache, `apt-${process.pid}`)
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(directory, part), { recursive: true })
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  if (!existsSync(keyring) || codename === undefined) {
    throw new Unavailable(
      'it needs libzfslinux-dev and libzpool, of OpenZFS 2.1 or newer; only on Debian can they be fetched here',
    )
  }
  const lines = [codename, `${codename}-backports`].map(
    (suite) => `deb [signed-by=${keyring}] ${mirror()} ${suite} main contrib`,
  )
  writeFileSync(join(directory, 'sources.list'), `${lines.join('\n')}\n`)
  const settings = {
    'Dir::State': directory,
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': directory,
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferencesparts': '-',
    'APT::Sandbox::User': '',
  }
  const file = join(directory, 'apt.conf')
  writeFileSync(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  )
  return { directory, env: { ...process.env, APT_CONFIG: file, LC_ALL: 'C' } }
}

/** Where the machine itself gets Debian's packages. */
function mirror() {
  const asked = spawnSync('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages'], {
    encoding: 'utf8',
  })
  const line = (asked.stdout ?? '').split('\n').find((each) => /^Debian \S+\/debian\/?$/.test(each))
  return line?.split(' ')[1] ?? 'http://deb.debian.org/debian'
}

/** Every libzpool on offer: { name, version }, newest first. */
function offers(env) {
  const names =
    run('apt-cache', ['search', '--names-only', '^libzpool[0-9]+linux$'], env).match(/^libzpool\d+linux/gm) ?? []
  const found = names.flatMap((name) =>
    run('apt-cache', ['madison', name], env)
      .split('\n')
      .flatMap((line) => (line.trim() === '' ? [] : [{ name, version: line.split('|')[1].trim() }])),
  )
  return found.filter((each) => fits(each.version)).sort((left, right) => compareReleases(left.version, right.version))
}

/** libzpool, its headers, and those of its dependencies that are built from the same source. */
function packageNames(offer, env) {
  const shown = run('apt-cache', ['show', `${offer.name}=${offer.version}`], env)
  const siblings = shown.match(/^Depends:.*$/m)?.[0].match(/\blib(nvpair|zfs)\d+linux\b/g) ?? []
  const own = [offer.name, 'libzfslinux-dev', ...siblings].map((name) => `${name}=${offer.version}`)
  return [...own, ...missingCompanions()]
}

function missingCompanions() {
  const known = run('/sbin/ldconfig', ['-p'])
  return Object.entries(companions).flatMap(([library, name]) => (known.includes(`\t${library} `) ? [] : [name]))
}

function download() {
  const { directory, env } = privateApt()
  console.error('The embedded engine: fetching libzpool and its headers')
  try {
    return fetchWith(env, directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function fetchWith(env, directory) {
  run('apt-get', ['update', '-qq'], env)
  const [offer] = offers(env)
  if (offer === undefined)
    throw new Unavailable(`there is no libzpool ${wanted || 'of 2.1 or newer'} among the packages`)
  const version = release(offer.version)
  const packages = join(directory, 'packages')
  const unpacked = join(directory, 'unpacked')
  mkdirSync(packages, { recursive: true })
  const done = spawnSync('apt-get', ['download', '-qq', ...packageNames(offer, env)], {
    cwd: packages,
    env,
    encoding: 'utf8',
  })
  if (done.status !== 0) throw new Unavailable(`apt-get download: ${done.stderr}`)
  for (const file of readdirSync(packages)) run('dpkg-deb', ['-x', join(packages, file), unpacked])
  keep(unpacked, join(cache, version))
  return { version, prefix: join(cache, version) }
}

/** Whole or not at all, also where two builds do it at once. */
function keep(directory, target) {
  try {
    renameSync(directory, target)
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    rmSync(directory, { recursive: true })
  }
}

function libraryFiles(prefix) {
  const triplet = run('cc', ['-dumpmachine']).trim()
  const directories = ['lib', 'usr/lib'].map((name) => join(prefix, name, triplet)).filter(existsSync)
  const found = new Map()
  const taken = (name) => libraries.test(name) || (prefix !== '/' && Object.hasOwn(companions, name))
  for (const directory of directories) {
    for (const name of readdirSync(directory))
      if (taken(name) && !found.has(name)) found.set(name, join(directory, name))
  }
  for (const kind of ['libzpool', 'libnvpair']) {
    if (![...found.keys()].some((name) => name.startsWith(`${kind}.`)))
      throw new Unavailable(`${kind} is missing in ${directories}`)
  }
  return found
}

/**
 * The library's own copies of what it was built against, beside it: it uses structures that no release promises to keep, so
 * it must never meet another release's libzpool, and other users must be able to read them.
 */
function copyLibraries({ version, prefix }) {
  const directory = join(dirname(output), `libzpool-${version}`)
  mkdirSync(directory, { recursive: true })
  const copies = []
  for (const [name, file] of libraryFiles(prefix)) {
    const copy = join(directory, name)
    copyFileSync(file, `${copy}.${process.pid}`)
    renameSync(`${copy}.${process.pid}`, copy)
    copies.push(copy)
  }
  return copies
}

async function build(packages) {
  const { version, prefix } = packages
  const objects = join(dirname(output), `.${basename(output)}-${process.pid}`)
  // Two builds at once must not take each other's result away.
  const fresh = `${output}.${process.pid}`
  mkdirSync(objects, { recursive: true })
  const copies = copyLibraries(packages)
  const [major, minor] = version.split('.').map(Number)
  const include = (name) => ['-isystem', join(prefix, 'usr/include', name)]
  const flags = [
    ...['-std=gnu11', '-O2', '-g1', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wno-unknown-pragmas'],
    // As libzpool itself is always built: these change the layout of its structures.
    ...['-DDEBUG', '-DZFS_DEBUG', '-D_GNU_SOURCE', '-D_LARGEFILE64_SOURCE'],
    ...[`-DFLOCKER_OPENZFS=${major * 100 + minor}`, `-DFLOCKER_OPENZFS_VERSION="${version}"`],
    ...['-I', join(sources, 'include'), ...include('libspl'), ...include('libzfs'), ...include('libzpool')],
  ]
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'))
  try {
    await Promise.all(
      files.map((name) => compile([...flags, '-c', join(sources, name), '-o', join(objects, `${name}.o`)])),
    )
    await compile([
      ...['-shared', '-o', fresh, ...files.map((name) => join(objects, `${name}.o`)), ...copies, '-lpthread'],
      // Its threads never end, so its code must stay; and what libzpool itself needs is also found beside it.
      ...[
        '-Wl,-z,nodelete',
        '-Wl,--disable-new-dtags',
        `-Wl,-rpath,$ORIGIN/libzpool-${version}`,
        '-Wl,--allow-shlib-undefined',
      ],
    ])
  } finally {
    rmSync(objects, { recursive: true })
  }
  const missing = run('ldd', [fresh]).match(/^\s*\S+(?= => not found)/gm)
  if (missing) {
    rmSync(fresh)
    throw new Unavailable(
      `libraries are missing: ${missing.map((each) => each.trim()).join(', ')}; apt install libtirpc3 libblkid1 libudev1`,
    )
  }
  renameSync(fresh, output)
  writeFileSync(stamp, inputs())
  console.error(`The embedded engine: ${basename(output)}, OpenZFS ${version}`)
}

function compile(words) {
  const child = spawn('cc', words, { stdio: ['ignore', 'inherit', 'inherit'] })
  return new Promise((done, failed) => {
    child.on('error', (error) => failed(new Unavailable(`cc: ${error.message}; apt install gcc libc6-dev`)))
    child.on('exit', (status) => (status === 0 ? done() : failed(new Error(`cc ended with ${status}`))))
  })
}
