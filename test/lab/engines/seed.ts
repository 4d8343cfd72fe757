/**
 * An engine's dataset with the lab's images in it, as a ZFS stream in the cache: received in a second or two, where loading the
 * images takes ten. It is made once, in a host of its own.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ensureEngines } from '../build/index.js'
import { takeLock } from '../build/lock.js'
import type { Host } from '../host.js'
import { openLab } from '../index.js'
import type { Engine } from './engine.js'

const SNAPSHOT = 'seed'

/** Starts an engine on a dataset that has nothing in it yet. */
export type StartEmpty = (host: Host, dataset: string) => Promise<Engine>

/** Makes the dataset `dataset`, with its images, on a host. */
export async function receiveSeed(kind: Engine['kind'], host: Host, dataset: string, start: StartEmpty): Promise<void> {
  const file = await ensureSeed(kind, start)
  await host.run(['sh', '-c', 'zfs receive "$1" <"$2"', 'sh', dataset, file])
  await host.run(['zfs', 'destroy', '-r', `${dataset}@${SNAPSHOT}`])
}

/** Returns the stream's file; one process makes it, the others wait for it. */
async function ensureSeed(kind: Engine['kind'], start: StartEmpty): Promise<string> {
  const directory = join((await ensureEngines()).directory, 'seeds')
  const file = join(directory, `${kind}.zfs`)
  if (await isThere(file)) return file
  await mkdir(directory, { recursive: true })
  await using _ = await takeLock(join(directory, `.${kind}.lock`), undefined, () => undefined)
  if (!(await isThere(file))) await makeSeed(file, start)
  return file
}

async function makeSeed(file: string, start: StartEmpty): Promise<void> {
  // The second disk carries the stream out of the host.
  const hosts = [{ name: 'seed', engines: true, disks: ['2 GiB', '1 GiB'] }]
  await using lab = await openLab({ hosts, local: false })
  const host = lab.host('seed')
  const [disk = '', outlet = ''] = host.disks
  await host.run(['zpool', 'create', '-O', 'mountpoint=none', host.pool, disk])
  const dataset = `${host.pool}/seed`
  const engine = await start(host, dataset)
  for (const name of ['busybox', 'postgres'] as const) await engine.load(name)
  await engine.stop()
  await host.run(['zfs', 'snapshot', '-r', `${dataset}@${SNAPSHOT}`])
  const script = 'zfs send -R -c "$1" | tee "$2" | wc -c && sync "$2"'
  const { stdout } = await host.run(['sh', '-c', script, 'sh', `${dataset}@${SNAPSHOT}`, outlet])
  await host.cutPower()
  const unfinished = `${file}.unfinished`
  const content = createReadStream(join(lab.directory, 'seed-1.img'), { end: Number(stdout) - 1 })
  await pipeline(content, createWriteStream(unfinished)).catch(async (error: unknown) => {
    await rm(unfinished, { force: true })
    throw error
  })
  await rename(unfinished, file)
}

function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}
