/** Debian packages unpacked into a directory of the cache. */
import { createWriteStream, existsSync } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PrivateApt } from '../../test/lab/build/apt.js'
import { takeLock } from '../../test/lab/build/lock.js'
import { type Chosen, choose, type Pin } from '../../test/lab/build/pins.js'
import { USERLAND_MANIFEST, unpackUserland } from '../../test/lab/build/userland.js'

const manifestSchema = z.object({
  wanted: z.array(z.string()),
  packages: z.array(z.object({ package: z.string(), version: z.string() })),
})

/** Fetches them, the first time; what they are. @throws LabError `BUILD_FAILED` or `PIN_GONE` where they can't be had */
export async function ensureUnpacked(directory: string, pins: readonly Pin[]): Promise<Chosen[]> {
  return (await read(directory, pins)) ?? (await fetchAll(directory, pins))
}

function wordsOf(pins: readonly Pin[]): string[] {
  return pins.map((pin) => (pin.version === undefined ? pin.package : `${pin.package}=${pin.version}`))
}

async function read(directory: string, pins: readonly Pin[]): Promise<Chosen[] | undefined> {
  const path = join(directory, USERLAND_MANIFEST)
  if (!existsSync(path)) return undefined
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  return manifest.wanted.join() === wordsOf(pins).join() ? manifest.packages : undefined
}

async function fetchAll(directory: string, pins: readonly Pin[]): Promise<Chosen[]> {
  await using _ = await takeLock(`${directory}.lock`, undefined, () => undefined)
  const meanwhile = await read(directory, pins)
  if (meanwhile !== undefined) return meanwhile
  const work = `${directory}.${process.pid}`
  const log = { path: `${directory}.log`, stream: createWriteStream(`${directory}.log`) }
  try {
    const apt = await PrivateApt.open(
      join(work, 'apt'),
      pins.map(({ suite }) => suite),
      { log },
    )
    const chosen = choose(pins, await apt.versions(pins.map((pin) => pin.package)), false)
    const files = await apt.download(chosen, join(work, 'packages'))
    await unpackUserland(files, join(work, 'unpacked'), { wanted: wordsOf(pins), packages: chosen }, { log })
    await rm(directory, { recursive: true, force: true })
    await rename(join(work, 'unpacked'), directory)
    return chosen
  } finally {
    log.stream.end()
    await rm(work, { recursive: true, force: true })
  }
}
