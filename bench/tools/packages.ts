/** The tools that we are compared with, from Debian packages unpacked into the cache: nothing is installed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { benchCache } from './cache.js'
import { ensureUnpacked } from './unpacked.js'

/** Of Debian 12, whose C library is the oldest of all the hosts that they run on. */
const suite = 'bookworm'
const packages = [
  ...['socat', 'stunnel4', 'mbuffer', 'openssh-server', 'openssh-client', 'sanoid', 'pv', 'lzop'],
  // What they need and a plain Debian lacks.
  ...['libwrap0', 'libmhash2', 'liblzo2-2', 'libcapture-tiny-perl', 'libconfig-inifiles-perl'],
]

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
  const found = await ensureUnpacked(
    directory,
    packages.map((name) => ({ package: name, suite })),
  )
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
    versions: Object.fromEntries(found.map((entry) => [entry.package, entry.version])),
  }
}
