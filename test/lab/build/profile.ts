/** A built profile in the cache: what it holds, and whether it is what the pins of this checkout ask for. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../errors.js'
import { cacheDirectory } from '../paths.js'
import { hangsAtTimes, readKernelConfig } from './kernel-config.js'
import { type Recipe, readRecipe, recipeDirectory } from './pins.js'
import { USERLAND_MANIFEST } from './userland.js'

export type ProfileName = 'newest' | 'oldest'

/** A kernel with its ZFS modules and userland, ready to be booted. */
export interface Profile {
  name: ProfileName
  directory: string
  /** The kernel: a program of the outside. */
  kernel: string
  /** Files of the modules in load order. */
  modules: string[]
  /** Words for the kernel's command line. */
  bootArgs: string[]
  /**
   * Directory to be laid over the root of a guest. It is part of the outside's root, which overlayfs refuses as a second
   * layer of the same file system: mount it with a hostfs of its own first.
   */
  userland: string
  versions: { kernel: string; zfs: string; userland: string }
}

/** Raise it when a change of the builder makes kernels or modules that differ. */
const BUILDER_VERSION = 1

const kernelManifest = z.object({
  kernel: z.string(),
  zfs: z.string(),
  modules: z.array(z.string()),
  bootArgs: z.array(z.string()),
  inputs: z.string().optional(),
})
const userlandManifest = z.object({ zfs: z.string(), inputs: z.string() })

export type KernelManifest = z.infer<typeof kernelManifest>
export type UserlandManifest = z.infer<typeof userlandManifest>

/** Digests of what the two halves of a profile are made from. */
export interface Inputs {
  kernel: string
  userland: string
}

/** Which halves of a profile are in the cache and current. */
export interface Cached {
  kernel: KernelManifest | undefined
  userland: UserlandManifest | undefined
}

export function profileDirectory(name: ProfileName): string {
  return join(cacheDirectory(), name)
}

/** Digests the pins, the kernel's configuration, its patches and the builder's version. */
export async function digestInputs(recipe: Recipe): Promise<Inputs> {
  const files = ['kernel.config', ...(recipe.patches ?? [])]
  const texts = await Promise.all(files.map((file) => readFile(join(recipeDirectory, file), 'utf8')))
  const { userland, ...rest } = recipe
  return { kernel: digest([BUILDER_VERSION, rest, ...texts]), userland: digest([BUILDER_VERSION, userland]) }
}

/** A kernel that says nothing of its inputs was put there by a person and is taken as it is, unless it is known to hang. */
export async function readCached(name: ProfileName, inputs: Inputs): Promise<Cached> {
  const directory = profileDirectory(name)
  const kernel = await readManifest(join(directory, 'profile.json'), kernelManifest)
  const userland = await readManifest(join(directory, 'userland', USERLAND_MANIFEST), userlandManifest)
  const current =
    kernel?.inputs === undefined
      ? kernel !== undefined && !hangsAtTimes(await readKernelConfig(join(directory, 'linux')))
      : kernel.inputs === inputs.kernel
  return {
    kernel: current ? kernel : undefined,
    userland: userland?.inputs === inputs.userland ? userland : undefined,
  }
}

/**
 * Reads a profile from the cache; builds nothing.
 * @throws LabError `PROFILE_MISSING` where it is not there, or not what the pins ask for
 */
export async function loadProfile(name: ProfileName): Promise<Profile> {
  const { kernel, userland } = await readCached(name, await digestInputs(await readRecipe(name)))
  if (kernel !== undefined && userland !== undefined) return describeProfile(name, kernel, userland)
  const next = `Build it with: node scripts/prepare.mjs --lab ${name}`
  throw new LabError('PROFILE_MISSING', `the lab's profile ${name} is not built (${profileDirectory(name)})`, { next })
}

export function describeProfile(name: ProfileName, kernel: KernelManifest, userland: UserlandManifest): Profile {
  const directory = profileDirectory(name)
  return {
    name,
    directory,
    kernel: join(directory, 'linux'),
    modules: kernel.modules.map((module) => join(directory, 'modules', `${module}.ko`)),
    bootArgs: kernel.bootArgs,
    userland: join(directory, 'userland'),
    versions: { kernel: kernel.kernel, zfs: kernel.zfs, userland: userland.zfs },
  }
}

async function readManifest<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LabError('PROFILE_INVALID', `${file} can't be read`, {
      cause: error,
      next: 'Remove that profile to rebuild.',
    })
  }
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
