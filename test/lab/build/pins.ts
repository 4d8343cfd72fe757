/** What a profile is made of: Debian packages at exact versions, read from test/lab/profiles/pins.json. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../errors.js'
import { checkout } from '../paths.js'

/** Where the pins, the kernel's configuration and the recipes' patches are, in the checkout. */
export const recipeDirectory = join(checkout, 'test/lab/profiles')

/** Set to 1 to build with the versions that the archive holds now, whatever the pins say. */
export const UNPIN_VARIABLE = 'FLOCKER_ZFS_LAB_UNPIN'

const suite = z.enum(['bookworm', 'trixie', 'trixie-backports'])
const pin = z.strictObject({ package: z.string(), version: z.string(), suite })
const recipe = z.strictObject({
  kernel: pin,
  /** Files beside the pins, for `patch -p1` in the kernel's source. */
  patches: z.array(z.string()).optional(),
  zfs: pin,
  userland: z.array(pin),
  modules: z.array(z.string()),
  bootArgs: z.array(z.string()),
})
/** Names, of which any version will do, and names with a version. */
const packages = z.array(z.union([z.string(), z.strictObject({ package: z.string(), version: z.string() })]))
const pinsFile = z.strictObject({
  profiles: z.strictObject({ newest: recipe, oldest: recipe }),
  tools: z.strictObject({ suite, packages: z.array(z.string()) }),
  engines: z.strictObject({ suite, engines: packages, postgres: packages, base: packages, busybox: packages }),
})

export type Suite = z.infer<typeof suite>

/** A package wanted from a suite; without a version, the one that the suite holds. */
export interface Pin {
  package: string
  version?: string
  suite: Suite
}

/** A profile's packages, its modules in load order and what its kernel is started with. */
export type Recipe = Omit<z.infer<typeof recipe>, 'userland'> & { userland: Pin[] }

/** A version of a package in the archive, and a suite that holds it. */
export interface Available {
  package: string
  version: string
  suite: string
}

/** A package at the version that will be downloaded. */
export interface Chosen {
  package: string
  version: string
}

/** Reads the pins of a profile; the tools every guest needs (kmod, iproute2, ...) follow the userland's own packages. */
export async function readRecipe(name: 'newest' | 'oldest'): Promise<Recipe> {
  const file = join(recipeDirectory, 'pins.json')
  const { profiles, tools } = pinsFile.parse(JSON.parse(await readFile(file, 'utf8')))
  const found = profiles[name]
  const extra = tools.packages.map((tool) => ({ package: tool, suite: tools.suite }))
  return { ...found, userland: [...found.userland, ...extra] }
}

/** What the container engines of a guest and the images for them are made of. */
export interface EngineRecipe {
  /** Docker, Podman and what they need. */
  engines: Pin[]
  /** PostgreSQL and the libraries it needs, but for those that every Debian has. */
  postgres: Pin[]
  /** Those that every Debian has. */
  base: Pin[]
  busybox: Pin[]
}

/** Reads the pins of the container engines. */
export async function readEngineRecipe(): Promise<EngineRecipe> {
  const file = join(recipeDirectory, 'pins.json')
  const { suite, ...lists } = pinsFile.parse(JSON.parse(await readFile(file, 'utf8'))).engines
  const pins = (list: z.infer<typeof packages>) =>
    list.map((entry) => (typeof entry === 'string' ? { package: entry, suite } : { ...entry, suite }))
  return {
    engines: pins(lists.engines),
    postgres: pins(lists.postgres),
    base: pins(lists.base),
    busybox: pins(lists.busybox),
  }
}

/**
 * Settles a version for every pin. A suite forgets a version when it gets the next one, and a clone must build after that
 * too: where the pinned version is gone, the one that its suite holds now takes its place, and `onReplaced` is told.
 *
 * @param unpin take what the suite holds now instead of the pinned version
 * @throws LabError `PIN_GONE`, naming every pin that can't be had, what there is instead, and what to edit
 */
export function choose(
  pins: readonly Pin[],
  available: readonly Available[],
  unpin: boolean,
  onReplaced: (pin: Pin, version: string) => void = () => undefined,
): Chosen[] {
  const gone: string[] = []
  const chosen = pins.flatMap((pin) => {
    const versions = available.filter((entry) => entry.package === pin.package)
    const inSuite = versions.find((entry) => entry.suite === pin.suite)
    const pinned = unpin ? undefined : versions.find((entry) => entry.version === pin.version)
    const wanted = pinned ?? inSuite
    if (wanted !== undefined) {
      if (!unpin && pin.version !== undefined && pinned === undefined) onReplaced(pin, wanted.version)
      return [{ package: pin.package, version: wanted.version }]
    }
    const kin = available.filter((entry) => stem(entry.package) === stem(pin.package))
    gone.push(`${pin.package} ${pin.version ?? `of ${pin.suite}`} is gone; ${describe(versions, kin)}`)
    return []
  })
  if (gone.length === 0) return chosen
  const next = 'Set the packages in test/lab/profiles/pins.json to what there is now.'
  throw new LabError('PIN_GONE', `the archive no longer has what the lab is built from:\n  ${gone.join('\n  ')}`, {
    next,
  })
}

/** A package's name without the number that changes from release to release: `libzfs` of `libzfs7linux`. */
export function stem(name: string): string {
  return name.replace(/[\d.]+(linux)?$/, '')
}

function describe(versions: readonly Available[], kin: readonly Available[]): string {
  if (versions.length > 0) return `there now: ${versions.map((v) => `${v.version} (${v.suite})`).join(', ')}`
  if (kin.length === 0) return 'no version of it is there now'
  return `there now: ${kin.map((v) => `${v.package} ${v.version} (${v.suite})`).join(', ')}`
}
