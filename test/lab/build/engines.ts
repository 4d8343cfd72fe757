/** Container engines for guests, and images for them, from Debian packages: made once, when a lab first asks for them. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { cacheDirectory } from '../paths.js'
import { PrivateApt, type StepOptions } from './apt.js'
import { type Image, image, packBusybox, packPostgres } from './images.js'
import { takeLock } from './lock.js'
import {
  type Chosen,
  choose,
  type EngineRecipe,
  type Pin,
  readEngineRecipe,
  recipeDirectory,
  UNPIN_VARIABLE,
} from './pins.js'
import { unpackUserland } from './userland.js'

/** What a guest with container engines gets. */
export interface Engines {
  /** Of all that is here; what is made from it may be kept there, and goes with it. */
  directory: string
  /** Directory to be laid over the root of a guest: Docker, Podman, PostgreSQL. */
  layer: string
  images: Record<'busybox' | 'postgres', Image>
}

/** Raise it when a change of this file or of images.ts makes something that differs. */
const BUILDER_VERSION = 1
const MANIFEST = 'engines.json'

const manifestSchema = z.object({
  inputs: z.string(),
  packages: z.array(z.object({ package: z.string(), version: z.string() })),
  images: z.object({ busybox: image, postgres: image }),
})
type Manifest = z.infer<typeof manifestSchema>

/**
 * Makes sure that the engines are in the cache and returns them; one process makes them, the others wait for it.
 * @throws LabError `PIN_GONE`, `BUILD_FAILED`; AbortError; TimeoutError
 */
export async function ensureEngines(options: { signal?: AbortSignal | undefined } = {}): Promise<Engines> {
  const recipe = await readEngineRecipe()
  const inputs = await digestInputs(recipe)
  const ready = await readEngines(inputs)
  if (ready !== undefined) return ready
  await mkdir(cacheDirectory(), { recursive: true })
  await using _ = await takeLock(join(cacheDirectory(), '.engines.lock'), options.signal, () => undefined)
  const meanwhile = await readEngines(inputs)
  if (meanwhile !== undefined) return meanwhile
  return describe(await build(recipe, inputs, options.signal))
}

function directory(): string {
  return join(cacheDirectory(), 'engines')
}

async function digestInputs(recipe: EngineRecipe): Promise<string> {
  const entrypoint = await readFile(join(recipeDirectory, 'postgres-entrypoint.sh'), 'utf8')
  return createHash('sha256')
    .update(JSON.stringify([BUILDER_VERSION, recipe, entrypoint]))
    .digest('hex')
}

async function readEngines(inputs: string): Promise<Engines | undefined> {
  try {
    const manifest = manifestSchema.parse(JSON.parse(await readFile(join(directory(), MANIFEST), 'utf8')))
    return manifest.inputs === inputs ? describe(manifest) : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function describe({ images }: Manifest): Engines {
  const locate = (found: Image): Image => ({ ...found, archive: join(directory(), found.archive) })
  return {
    directory: directory(),
    layer: join(directory(), 'layer'),
    images: { busybox: locate(images.busybox), postgres: locate(images.postgres) },
  }
}

/** Makes all beside its place and renames it there. The caller holds the lock. */
async function build(recipe: EngineRecipe, inputs: string, signal: AbortSignal | undefined): Promise<Manifest> {
  const work = join(cacheDirectory(), '.engines.building')
  await rm(work, { recursive: true, force: true })
  await mkdir(work)
  const logPath = join(cacheDirectory(), 'engines-build.log')
  const log = { path: logPath, stream: createWriteStream(logPath) }
  try {
    const step: StepOptions = { log, signal }
    const { chosen, files } = await download(recipe, work, step)
    const result = join(work, 'result')
    await mkdir(join(result, 'images'), { recursive: true })
    await unpackUserland(files([...recipe.engines, ...recipe.postgres]), join(result, 'layer'), { inputs }, step)
    await chooseIptables(join(result, 'layer'))
    await linkPostgres(join(result, 'layer'))
    const busybox = join(work, 'busybox')
    const postgres = join(work, 'postgres')
    await unpackUserland(files(recipe.busybox), busybox, {}, step)
    await unpackUserland(files([...recipe.postgres, ...recipe.base, ...recipe.busybox]), postgres, {}, step)
    const manifest: Manifest = {
      inputs,
      packages: chosen,
      images: {
        busybox: await packBusybox(busybox, result, step),
        postgres: await packPostgres(postgres, result, step),
      },
    }
    await writeFile(join(result, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(directory(), join(work, 'old')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await rename(result, directory())
    return manifest
  } finally {
    log.stream.end()
    await rm(work, { recursive: true, force: true })
  }
}

interface Downloaded {
  chosen: Chosen[]
  /** The files of these packages. */
  files(pins: readonly Pin[]): string[]
}

async function download(recipe: EngineRecipe, work: string, step: StepOptions): Promise<Downloaded> {
  const all = [...recipe.engines, ...recipe.postgres, ...recipe.base, ...recipe.busybox]
  const pins = [...new Map(all.map((pin) => [pin.package, pin])).values()]
  const suites = pins.map((pin) => pin.suite)
  const apt = await PrivateApt.open(join(work, 'apt'), suites, step)
  const available = await apt.versions(pins.map((pin) => pin.package))
  const chosen = choose(pins, available, process.env[UNPIN_VARIABLE] === '1', (pin, version) => {
    console.error(`${pin.package} ${pin.version} is gone from ${pin.suite}; taking ${version}`)
  })
  const downloaded = await apt.download(chosen, join(work, 'packages'))
  // A package's file is NAME_VERSION_ARCHITECTURE.deb.
  const byName = new Map(downloaded.map((file) => [basename(file).split('_', 1)[0], file]))
  return {
    chosen,
    files: (wanted) => [...new Set(wanted.map((pin) => pin.package))].flatMap((name) => byName.get(name) ?? []),
  }
}

/** Debian chooses the variant when the package is configured, which an unpacked one never is. */
async function chooseIptables(layer: string): Promise<void> {
  const programs = join(layer, 'usr/sbin')
  const there = await readdir(programs)
  for (const name of [
    'iptables',
    'iptables-save',
    'iptables-restore',
    'ip6tables',
    'ip6tables-save',
    'ip6tables-restore',
  ])
    if (!there.includes(name)) await symlink('xtables-nft-multi', join(programs, name))
}

/** Debian's own psql is a Perl program that chooses among versions. */
async function linkPostgres(layer: string): Promise<void> {
  for (const name of ['psql', 'pg_isready', 'pg_dump', 'pgbench'])
    await symlink(`../lib/postgresql/15/bin/${name}`, join(layer, 'usr/bin', name))
}
