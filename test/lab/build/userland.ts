/** The directory laid over a guest's root: the ZFS userland of its module, its C library, and tools a bare Debian lacks. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { StepOptions } from './apt.js'
import { run } from './command.js'

/** What says, inside the userland, which inputs it was made from. */
export const USERLAND_MANIFEST = 'usr/share/flocker-zfs-lab.json'

/** Names at the top that are links into usr/ on every system since Debian 12. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64']

/**
 * Unpacks packages into a new directory. Only /usr is kept: configuration and state are the machine's.
 * @param manifest written to {@link USERLAND_MANIFEST}
 */
export async function unpackUserland(
  packages: readonly string[],
  directory: string,
  manifest: unknown,
  options: StepOptions,
): Promise<void> {
  const draft = `${directory}.unpacked`
  for (const name of MERGED) {
    await mkdir(join(draft, 'usr', name), { recursive: true })
    await symlink(`usr/${name}`, join(draft, name))
  }
  for (const file of packages) {
    const archive = `${draft}.tar`
    const common = { ...options, what: `unpacking ${basename(file)}`, deadline: 60_000 }
    await run('sh', ['-c', 'exec dpkg-deb --fsys-tarfile "$1" > "$2"', 'sh', file, archive], common)
    // Some packages still have lib/ instead of usr/lib/: follow the links rather than replace them.
    await run('tar', ['-xf', archive, '--keep-directory-symlink', '--no-same-owner', '-C', draft], common)
    await rm(archive)
  }
  for (const name of ['doc', 'man', 'locale', 'lintian', 'bash-completion']) {
    await rm(join(draft, 'usr/share', name), { recursive: true, force: true })
  }
  await mkdir(directory, { recursive: true })
  await writeFile(join(draft, USERLAND_MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`)
  await rename(join(draft, 'usr'), join(directory, 'usr'))
  await rm(draft, { recursive: true })
}
