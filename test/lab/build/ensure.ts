/** Makes sure that a profile is in the cache, and builds what is missing of it. */
import { createWriteStream } from 'node:fs'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../errors.js'
import { cacheDirectory } from '../paths.js'
import { PrivateApt, type StepOptions } from './apt.js'
import { run } from './command.js'
import { buildKernel, unpackKernel } from './kernel.js'
import { takeLock } from './lock.js'
import { type Chosen, choose, type Recipe, readRecipe, UNPIN_VARIABLE } from './pins.js'
import * as cache from './profile.js'
import type { BuildProgress, Phase } from './progress.js'
import { Tracker } from './tracker.js'
import { unpackUserland } from './userland.js'
import { buildModules, findZfsSource } from './zfs.js'

export interface EnsureOptions {
  signal?: AbortSignal
  /** Told once a second while something is built. */
  onProgress?: (progress: BuildProgress) => void
  /** Told when another process is building this profile. */
  onWait?: (pid: number) => void
}

/** Seconds on two free processors. */
const USERLAND_PHASES: Phase[] = [
  { name: 'packages', seconds: 12 },
  { name: 'userland', seconds: 3 },
]
const KERNEL_PHASES: Phase[] = [
  { name: 'unpack', seconds: 12 },
  { name: 'kernel', seconds: 380 },
  { name: 'configure ZFS', seconds: 95 },
  { name: 'ZFS', seconds: 140 },
]

/**
 * Makes sure that a profile is built and returns it. What is built appears in the cache whole or not at all, and one
 * process builds at a time; the others wait for it.
 * @throws LabError `PIN_GONE`, `BUILD_FAILED` (with the log's path and end), `PROFILE_INVALID`, `PLATFORM`;
 * AbortError; TimeoutError
 */
export async function ensureProfile(name: cache.ProfileName, options: EnsureOptions = {}): Promise<cache.Profile> {
  const recipe = await readRecipe(name)
  const inputs = await cache.digestInputs(recipe)
  const ready = await readProfile(name, inputs)
  if (ready !== undefined) return ready
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new LabError(
      'PLATFORM',
      `the lab's kernels are built on x86-64 Linux, not on ${process.arch} ${process.platform}`,
    )
  }

  await mkdir(cacheDirectory(), { recursive: true })
  const lock = join(cacheDirectory(), `.${name}.lock`)
  await using _ = await takeLock(lock, options.signal, options.onWait ?? (() => undefined))
  const cached = await cache.readCached(name, inputs)
  if (!cached.kernel || !cached.userland) await build(name, recipe, inputs, cached, options)
  const built = await readProfile(name, inputs)
  if (built !== undefined) return built
  throw new LabError('PROFILE_INVALID', `the profile ${name} was built and is not in ${cache.profileDirectory(name)}`)
}

async function readProfile(name: cache.ProfileName, inputs: cache.Inputs): Promise<cache.Profile | undefined> {
  const { kernel, userland } = await cache.readCached(name, inputs)
  return kernel && userland && cache.describeProfile(name, kernel, userland)
}

/** Builds beside the profile, then moves the result into its place. The caller holds the lock. */
async function build(
  name: cache.ProfileName,
  recipe: Recipe,
  inputs: cache.Inputs,
  cached: cache.Cached,
  { signal, onProgress }: EnsureOptions,
): Promise<void> {
  const work = join(cacheDirectory(), `.${name}.building`)
  await rm(work, { recursive: true, force: true })
  await mkdir(work)
  const logPath = join(cacheDirectory(), `${name}-build.log`)
  const log = { path: logPath, stream: createWriteStream(logPath) }
  const step: StepOptions = { log, signal }
  const phases = cached.kernel ? USERLAND_PHASES : [...USERLAND_PHASES, ...KERNEL_PHASES]
  using tracker = new Tracker(name, phases, onProgress ?? (() => undefined))
  const result = join(work, 'result')
  try {
    tracker.begin('packages')
    const packages = await download(work, recipe, cached, step)
    await mkdir(result)
    if (!cached.userland) {
      tracker.begin('userland')
      const version = versionOf(packages.chosen, 'zfsutils-linux')
      const manifest = { zfs: upstream(version), packages: packages.chosen, inputs: inputs.userland }
      await unpackUserland(packages.userland, join(result, 'userland'), manifest, step)
    }
    if (!cached.kernel) {
      await buildKernelHalf(name, recipe, packages, work, tracker, step)
      const kernel = versionOf(packages.chosen, recipe.kernel.package)
      const zfs = versionOf(packages.chosen, recipe.zfs.package)
      const manifest = {
        kernel: upstream(kernel),
        kernelPackage: `${recipe.kernel.package}=${kernel}`,
        zfs: upstream(zfs),
        zfsPackage: `${recipe.zfs.package}=${zfs}`,
        suite: recipe.zfs.suite,
        modules: recipe.modules,
        bootArgs: recipe.bootArgs,
        inputs: inputs.kernel,
      }
      await writeFile(join(result, 'profile.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    }
    await putInPlace(name, result, work, cached)
  } finally {
    log.stream.end()
    await rm(work, { recursive: true, force: true })
  }
}

interface Packages {
  chosen: Chosen[]
  kernel: string[]
  userland: string[]
}

async function download(work: string, recipe: Recipe, cached: cache.Cached, step: StepOptions): Promise<Packages> {
  const kernelPins = cached.kernel ? [] : [recipe.kernel, recipe.zfs]
  const userlandPins = cached.userland ? [] : recipe.userland
  const pins = [...kernelPins, ...userlandPins]
  const apt = await PrivateApt.open(
    join(work, 'apt'),
    pins.map((pin) => pin.suite),
    step,
  )
  const available = await apt.versions(pins.map((pin) => pin.package))
  const chosen = choose(pins, available, process.env[UNPIN_VARIABLE] === '1', (pin, version) => {
    console.error(`${pin.package} ${pin.version} is gone from ${pin.suite}; taking ${version}`)
  })
  const get = async (wanted: Chosen[], directory: string) =>
    wanted.length === 0 ? [] : apt.download(wanted, join(work, directory))
  return {
    chosen,
    kernel: await get(chosen.slice(0, kernelPins.length), 'kernel-packages'),
    userland: await get(chosen.slice(kernelPins.length), 'userland-packages'),
  }
}

async function buildKernelHalf(
  name: cache.ProfileName,
  recipe: Recipe,
  packages: Packages,
  work: string,
  tracker: Tracker,
  step: StepOptions,
): Promise<void> {
  const result = join(work, 'result')
  const tree = join(work, 'tree')
  tracker.begin('unpack')
  const unpack = { ...step, what: 'unpacking packages', deadline: 120_000 }
  for (const file of packages.kernel) await run('dpkg-deb', ['-x', file, tree], unpack)
  const source = await unpackKernel(tree, work, recipe.patches ?? [], step)
  await rename(await buildKernel(name, source, tracker, step), join(result, 'linux'))
  await buildModules(name, recipe, await findZfsSource(tree), source, join(result, 'modules'), tracker, step)
}

/** Renames only: at every moment a half of the profile is either there whole or not there. */
async function putInPlace(name: cache.ProfileName, result: string, work: string, cached: cache.Cached): Promise<void> {
  const directory = cache.profileDirectory(name)
  const old = join(work, 'old')
  // A profile that a person copied here may have been read-only where it came from.
  for (const part of [directory, join(directory, 'modules')]) await ifThere(chmod(part, 0o755))
  if (cached.kernel) {
    await ifThere(rename(join(directory, 'userland'), old))
    await rename(join(result, 'userland'), join(directory, 'userland'))
    return
  }
  if (cached.userland) await rename(join(directory, 'userland'), join(result, 'userland'))
  await ifThere(rename(directory, old))
  await rename(result, directory)
}

async function ifThere(change: Promise<void>): Promise<void> {
  await change.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

function versionOf(chosen: readonly Chosen[], name: string): string {
  return chosen.find((entry) => entry.package === name)?.version ?? ''
}

/** The upstream part of a Debian version: `7.2.12` of `7.2.12-1~bpo13+1`. */
function upstream(version: string): string {
  return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '')
}
