import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { LabError } from './errors.js'
import { cacheDirectory } from './paths.js'

/** A kernel with its ZFS module and userland, as built into the cache. */
export interface BootableProfile {
  kernel: string
  /** The modules' files in load order. */
  modules: string[]
  bootArgs: string[]
  /** Directory laid over the root of a host, or empty. */
  userland: string
}

const manifest = z.object({ modules: z.array(z.string()), bootArgs: z.array(z.string()) })

/** Reads a built profile from the cache. */
export async function loadBootable(name: string): Promise<BootableProfile> {
  const directory = join(cacheDirectory(), name)
  let text: string
  try {
    text = await readFile(join(directory, 'profile.json'), 'utf8')
  } catch (cause) {
    const next = `Build it with: node scripts/prepare.mjs --lab ${name}`
    throw new LabError('PROFILE_MISSING', `the lab's profile ${name} is not built (${directory})`, { cause, next })
  }
  const { modules, bootArgs } = manifest.parse(JSON.parse(text))
  const userland = join(directory, 'userland')
  const hasUserland = await access(userland).then(
    () => true,
    () => false,
  )
  return {
    kernel: join(directory, 'linux'),
    modules: modules.map((module) => join(directory, 'modules', `${module}.ko`)),
    bootArgs,
    userland: hasUserland ? userland : '',
  }
}
