/** Builds the User-Mode Linux kernel of a profile. */
import { copyFile, readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { StepOptions } from './apt.js'
import { run } from './command.js'
import { recipeDirectory } from './pins.js'
import type { Tracker } from './tracker.js'

/** Compiled files of a kernel with the lab's configuration; only the estimate depends on it. */
const COMPILED_FILES = { newest: 909, oldest: 905 }

/** One job more than processors: some are always waiting for the disk. */
export const jobs = `-j${availableParallelism() + 1}`

/** Without a user's or a host's name and the time of day, equal inputs make equal kernels. */
export const kernelEnvironment = {
  ARCH: 'um',
  SUBARCH: 'x86_64',
  KBUILD_BUILD_USER: 'flocker-zfs',
  KBUILD_BUILD_HOST: 'lab',
  KBUILD_BUILD_TIMESTAMP: '1970-01-01',
}

/** Trees that a UML kernel compiles nothing of: all but their Kconfig files and Makefiles may stay packed. */
const UNUSED = [
  ...['gpu', 'media', 'staging', 'infiniband', 'net/ethernet', 'net/wireless'].map((tree) => `drivers/${tree}/*.[ch]`),
  ...['arm', 'arm64', 'mips', 'powerpc', 'riscv', 's390', 'sh', 'sparc'].map((tree) => `arch/${tree}/*.[chS]`),
  'Documentation/*.rst',
  'Documentation/*.yaml',
  'arch/*.dts',
  'arch/*.dtsi',
  'sound/*.[ch]',
  'tools/perf',
  'tools/testing',
]

/** Unpacks the source of a linux-source package's tree, patches it and returns its directory. */
export async function unpackKernel(
  tree: string,
  directory: string,
  patches: readonly string[],
  options: StepOptions,
): Promise<string> {
  const sources = join(tree, 'usr/src')
  const archive = (await readdir(sources)).find((file) => /^linux-source-.*\.tar\.xz$/.test(file)) ?? ''
  const excludes = UNUSED.flatMap((pattern) => ['--exclude', `linux-source-*/${pattern}`])
  const args = ['-xf', join(sources, archive), '-C', directory, ...excludes]
  await run('tar', args, { ...options, what: "unpacking the kernel's source", deadline: 300_000 })
  const source = join(directory, archive.replace('.tar.xz', ''))
  for (const file of patches) {
    const what = `patching the kernel with ${file}`
    const words = ['-p1', '--fuzz=0', '-i', join(recipeDirectory, file)]
    await run('patch', words, { ...options, what, cwd: source, deadline: 60_000 })
  }
  return source
}

/** Configures and builds the kernel, and the symbol table that modules are built against. Returns the kernel's file. */
export async function buildKernel(
  name: 'newest' | 'oldest',
  source: string,
  tracker: Tracker,
  options: StepOptions,
): Promise<string> {
  const common = { ...options, what: 'configuring the kernel', cwd: source, deadline: 120_000 }
  const config = join(source, '..', 'kernel.config')
  await copyFile(join(recipeDirectory, 'kernel.config'), config)
  await run('make', ['allnoconfig'], { ...common, env: { ...kernelEnvironment, KCONFIG_ALLCONFIG: config } })
  tracker.begin('kernel', COMPILED_FILES[name])
  await run('make', [jobs, 'linux', 'modules'], {
    ...common,
    what: 'compiling the kernel',
    deadline: 60 * 60_000,
    env: kernelEnvironment,
    onLine: (line) => line.startsWith('  CC ') && tracker.count(),
  })
  return join(source, 'linux')
}
