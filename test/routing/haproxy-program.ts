/** HAProxy for the tests: the machine's, or Debian's package with the libraries it lacks, unpacked into the cache directory. */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PrivateApt } from '../lab/build/apt.js'
import { type Log, run } from '../lab/build/command.js'
import { cacheDirectory } from '../lab/paths.js'

const DEADLINE = 60_000

/** The package of each library that Debian 12's HAProxy is loaded with, directly or not. */
const LIBRARIES: Record<string, string> = {
  'libcap.so.2': 'libcap2',
  'libcrypt.so.1': 'libcrypt1',
  'libcrypto.so.3': 'libssl3',
  'libgcc_s.so.1': 'libgcc-s1',
  'libgcrypt.so.20': 'libgcrypt20',
  'libgpg-error.so.0': 'libgpg-error0',
  'liblua5.3.so.0': 'liblua5.3-0',
  'liblz4.so.1': 'liblz4-1',
  'liblzma.so.5': 'liblzma5',
  'libopentracing-c-wrapper.so.0': 'libopentracing-c-wrapper0',
  'libopentracing.so.1': 'libopentracing1',
  'libpcre2-8.so.0': 'libpcre2-8-0',
  'libssl.so.3': 'libssl3',
  'libstdc++.so.6': 'libstdc++6',
  'libsystemd.so.0': 'libsystemd0',
  'libzstd.so.1': 'libzstd1',
}

/** A program that can be started as HAProxy. The first call on a machine downloads it. */
export async function haproxyProgram(): Promise<string> {
  const found = spawnSync('sh', ['-c', 'command -v haproxy'], { encoding: 'utf8' })
  if (found.status === 0) return found.stdout.trim()
  const directory = join(dirname(cacheDirectory()), 'haproxy')
  if (!existsSync(directory)) await build(directory)
  return join(directory, 'haproxy')
}

/** Whole or not at all, also where two tests do it at once. */
async function build(directory: string): Promise<void> {
  const draft = `${directory}-${randomUUID()}`
  await mkdir(draft, { recursive: true })
  const log: Log = { path: `${directory}-build.log`, stream: createWriteStream(`${directory}-build.log`) }
  try {
    const apt = await PrivateApt.open(join(draft, 'apt'), ['bookworm'], { log })
    await fetchPackages(apt, draft, ['haproxy'])
    for (let missing = lacking(draft); missing.length > 0; missing = lacking(draft)) {
      await fetchPackages(apt, draft, missing)
    }
    await rm(join(draft, 'apt'), { recursive: true })
    // A script rather than a link: the libraries must be found without the caller's help, also when HAProxy starts itself anew.
    const script = `#!/bin/sh\nroot=\${0%/*}\nLD_LIBRARY_PATH=$root/${triplet()} exec "$root/usr/sbin/haproxy" "$@"\n`
    await writeFile(join(draft, 'haproxy'), script, { mode: 0o755 })
    await rename(draft, directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    log.stream.end()
    await rm(draft, { recursive: true, force: true })
  }
}

async function fetchPackages(apt: PrivateApt, directory: string, names: readonly string[]): Promise<void> {
  const versions = await apt.versions(names)
  const chosen = names.map((name) => {
    const version = versions.find((each) => each.package === name)
    if (version === undefined) throw new Error(`Debian 12 has no package ${name}`)
    return version
  })
  const packages = join(directory, 'packages')
  for (const file of await apt.download(chosen, packages)) {
    const options = { ...apt.options, what: `unpacking ${file}`, deadline: DEADLINE }
    await run('dpkg-deb', ['-x', file, directory], options)
  }
  await rm(packages, { recursive: true })
}

/** Packages of the libraries that the loader does not find. */
function lacking(directory: string): string[] {
  const env = { ...process.env, LD_LIBRARY_PATH: join(directory, triplet()) }
  const { stdout } = spawnSync('ldd', [join(directory, 'usr/sbin/haproxy')], { encoding: 'utf8', env })
  const names = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, library = '']) => {
    const name = LIBRARIES[library]
    if (name === undefined) throw new Error(`HAProxy needs ${library}, of which no package is known`)
    return name
  })
  return [...new Set(names)]
}

function triplet(): string {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  return `usr/lib/${machine}-linux-gnu`
}
