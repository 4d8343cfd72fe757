/** Builds the OpenZFS modules of a profile against its kernel. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StepOptions } from './apt.js'
import { run } from './command.js'
import { jobs, kernelEnvironment } from './kernel.js'
import type { Recipe } from './pins.js'
import type { Tracker } from './tracker.js'

/** Compiled files of the modules; only the estimate depends on it. */
const COMPILED_FILES = { newest: 292, oldest: 280 }

/** Returns the directory of the ZFS source in a zfs-dkms package's tree. */
export async function findZfsSource(tree: string): Promise<string> {
  const sources = join(tree, 'usr/src')
  return join(sources, (await readdir(sources)).find((file) => file.startsWith('zfs-')) ?? '')
}

/** Configures and builds, and leaves the stripped modules in `destination`. */
export async function buildModules(
  name: 'newest' | 'oldest',
  recipe: Recipe,
  zfs: string,
  kernel: string,
  destination: string,
  tracker: Tracker,
  options: StepOptions,
): Promise<void> {
  if (recipe.zfs.version.startsWith('2.1.')) await patchFor21(zfs)
  const common = { ...options, cwd: zfs, env: kernelEnvironment }

  tracker.begin('configure ZFS')
  const configure = ['-q', '--with-config=kernel', `--with-linux=${kernel}`, `--with-linux-obj=${kernel}`]
  await run('./configure', configure, { ...common, what: 'configuring ZFS', deadline: 20 * 60_000 })

  tracker.begin('ZFS', COMPILED_FILES[name])
  const onLine = (line: string) => line.startsWith('  CC [M]') && tracker.count()
  const compile = { ...common, what: 'compiling ZFS', deadline: 40 * 60_000, onLine }
  await run('make', [jobs, '-C', 'module', 'modules'], compile)

  await mkdir(destination, { recursive: true })
  const built = await findModules(join(zfs, 'module'))
  for (const module of recipe.modules) {
    const file = built.find((path) => path.endsWith(`/${module}.ko`)) ?? `${module}.ko`
    const strip = { ...common, what: `stripping the module ${module}`, deadline: 60_000 }
    await run('strip', ['-g', '-o', join(destination, `${module}.ko`), file], strip)
  }
}

/**
 * OpenZFS 2.1 takes an architecture of `um` for no x86 and leaves out what x86 needs; and its Lua interpreter's own
 * setjmp has the name of a function that a UML kernel already has.
 */
async function patchFor21(zfs: string): Promise<void> {
  const directory = join(zfs, 'module')
  for (const part of await readdir(directory)) {
    const path = join(directory, part, 'Makefile.in')
    if (!existsSync(path)) continue
    const text = await readFile(path, 'utf8')
    const lua = part === 'lua' ? '\nasflags-y += -Dsetjmp=kernel_setjmp -Dlongjmp=kernel_longjmp\n' : ''
    await writeFile(path, text.replace(/\$\(CONFIG_X86(_64)?\)/g, 'y') + lua)
  }
}

async function findModules(directory: string): Promise<string[]> {
  const files = await readdir(directory, { recursive: true })
  return files.filter((file) => file.endsWith('.ko')).map((file) => join(directory, file))
}
