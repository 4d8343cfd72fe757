import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import * as lzc from '../../src/lzc/index.js'
import { collect, eventually, zfs } from '../zfs/pool.js'
import type { EngineUnderTest } from './engine.js'

const run = promisify(execFile)

/** The kernel's OpenZFS: volumes are devices, and the zfs command makes what the SDK can't. */
export class KernelEngine implements EngineUnderTest {
  readonly kind = 'kernel'

  constructor(private readonly pool: string) {}

  async open(): Promise<void> {
    await zfs('list', this.pool)
  }

  async close(): Promise<void> {
    // A volume's device appears some time after the volume, and is opened for that.
    const exported = (): Promise<boolean> =>
      run('zpool', ['export', this.pool]).then(
        () => true,
        () => false,
      )
    await eventually(exported, 10_000)
  }

  async write(volume: string, offset: number, bytes: Buffer): Promise<void> {
    await using device = await open(await deviceOf(volume), 'r+')
    await device.write(bytes, 0, bytes.length, offset)
    await device.sync()
  }

  async read(volume: string): Promise<Buffer> {
    return readFile(await deviceOf(volume))
  }

  async encryptedStreams(): Promise<{ full: Buffer; increment: Buffer }> {
    const name = `${this.pool}/secret`
    await writeFile('/tmp/key', randomBytes(32))
    const encryption = ['encryption=aes-256-gcm', 'keyformat=raw', 'keylocation=file:///tmp/key']
    await zfs('create', '-sV', '4M', ...encryption.flatMap((property) => ['-o', property]), name)
    await this.write(name, 0, randomBytes(1 << 20))
    await lzc.snapshot(`${name}@1`)
    await this.write(name, 1 << 20, randomBytes(1 << 16))
    await lzc.snapshot(`${name}@2`)
    const flags = { raw: true }
    const full = await collect(lzc.send(`${name}@1`, { flags }))
    const increment = await collect(lzc.send(`${name}@2`, { from: `${name}@1`, flags }))
    await lzc.destroySnapshots([`${name}@1`, `${name}@2`])
    await lzc.destroy(name)
    return { full, increment }
  }
}

/** Names of volumes' devices that were found before: they move when volumes come and go. */
const known = new Map<string, string>()

/** A volume's device, by udev's own helper: in the lab there is no udev, and so no /dev/zvol. */
async function deviceOf(volume: string): Promise<string> {
  const isIt = async (device: string | undefined): Promise<boolean> => {
    if (device === undefined) return false
    const { stdout } = await run('/lib/udev/zvol_id', [device]).catch(() => ({ stdout: '' }))
    return stdout.trim() === volume
  }
  if (!(await isIt(known.get(volume)))) {
    await eventually(async () => {
      for (const device of await devices()) if (await isIt(device)) return known.set(volume, device) !== undefined
      return false
    }, 10_000)
  }
  return known.get(volume) as string
}

/** The newest first. */
async function devices(): Promise<string[]> {
  const names = (await readdir('/dev')).filter((name) => /^zd\d+$/.test(name)).map((name) => `/dev/${name}`)
  const ages = new Map(names.map((name) => [name, statSync(name, { throwIfNoEntry: false })?.ctimeMs ?? 0]))
  return names.sort((one, other) => (ages.get(other) ?? 0) - (ages.get(one) ?? 0))
}
