/** The tools that we are compared with, from Debian packages unpacked into the cache: nothing is installed. */
import { createWriteStream, existsSync } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PrivateApt } from '../../test/lab/build/apt.js'
import { takeLock } from '../../test/lab/build/lock.js'
import { choose } from '../../test/lab/build/pins.js'
import { USERLAND_MANIFEST, unpackUserland } from '../../test/lab/build/userland.js'
import { benchCache } from './cache.js'

/** Of Debian 12, whose C library is the oldest of all the hosts that they run on. */
const suite = 'bookworm'
const packages = [
  ...['socat', 'stunnel4', 'mbuffer', 'openssh-server', 'openssh-client', 'sanoid', 'pv', 'lzop'],
  // What they need and a plain Debian lacks.
  ...['libwrap0', 'libmhash2', 'liblzo2-2', 'libcapture-tiny-perl', 'libconfig-inifiles-perl'],
]

const manifestSchema = z.object({
  wanted: z.array(z.string()),
  packages: z.array(z.object({ package: z.string(), version: z.string() })),
})

export interface Tools {
  /** The path of a program of these packages. */
  program(name: string): string
  /** What they need in their environment. */
  environment: Record<string, string>
  /** By package. */
  versions: Record<string, string>
}

/** Fetches them, the first time. @throws LabError `BUILD_FAILED` or `PIN_GONE` where they can't be had */
export async function ensureTools(): Promise<Tools> {
  const directory = join(await benchCache(), 'tools')
  const found = (await read(directory)) ?? (await fetchTools(directory))
  const usr = join(directory, 'usr')
  const libraries = ['lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu', 'lib'].map((path) => join(usr, path))
  return {
    program: (name) => {
      const path = ['bin', 'sbin'].map((part) => join(usr, part, name)).find(existsSync)
      if (path === undefined) throw new Error(`there is no ${name} in ${packages.join(', ')}`)
      return path
    },
    environment: {
      PATH: `${join(usr, 'bin')}:${join(usr, 'sbin')}:${process.env.PATH}`,
      LD_LIBRARY_PATH: libraries.join(':'),
      PERL5LIB: join(usr, 'share/perl5'),
    },
    versions: Object.fromEntries(found.packages.map((entry) => [entry.package, entry.version])),
  }
}

async function read(directory: string): Promise<z.infer<typeof manifestSchema> | undefined> {
  const path = join(directory, USERLAND_MANIFEST)
  if (!existsSync(path)) return undefined
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  return manifest.wanted.join() === packages.join() ? manifest : undefined
}

async function fetchTools(directory: string): Promise<z.infer<typeof manifestSchema>> {
  await using _ = await takeLock(`${directory}.lock`, undefined, () => undefined)
  const meanwhile = await read(directory)
  if (meanwhile !== undefined) return meanwhile
  const work = `${directory}.${process.pid}`
  const log = { path: `${directory}.log`, stream: createWriteStream(`${directory}.log`) }
  try {
    const apt = await PrivateApt.open(join(work, 'apt'), [suite], { log })
    const pins = packages.map((name) => ({ package: name, suite }) as const)
    const chosen = choose(pins, await apt.versions(packages), true)
    const files = await apt.download(chosen, join(work, 'packages'))
    const manifest = { wanted: packages, packages: chosen }
    await unpackUserland(files, join(work, 'unpacked'), manifest, { log })
    await rm(directory, { recursive: true, force: true })
    await rename(join(work, 'unpacked'), directory)
    return manifest
  } finally {
    log.stream.end()
    await rm(work, { recursive: true, force: true })
  }
}
