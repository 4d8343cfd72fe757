import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getProperties } from '../../src/datasets/index.js'
import { closePool, flushVolume, openPool, readVolume, writeVolume } from '../../src/lzc/index.js'
import { Engine, withDirectory } from '../embedded/engine.js'
import type { EngineUnderTest } from './engine.js'

const mebibyte = 1024 * 1024

/** OpenZFS in this process, with a pool in a file in TEST_DIRECTORY. */
export class EmbeddedEngine implements EngineUnderTest {
  readonly kind = 'embedded'

  constructor(private readonly pool: string) {}

  async open(): Promise<void> {
    await openPool(process.env.TEST_DIRECTORY as string, this.pool)
  }

  async close(): Promise<void> {
    await closePool(this.pool)
  }

  async write(volume: string, offset: number, bytes: Buffer): Promise<void> {
    await writeVolume(volume, BigInt(offset), bytes)
    await flushVolume(volume)
  }

  async read(volume: string): Promise<Buffer> {
    const size = (await getProperties(volume)).volsize?.value
    return readVolume(volume, 0n, Number(size))
  }

  /** Made by another process with the engine in it. */
  async encryptedStreams(): Promise<{ full: Buffer; increment: Buffer }> {
    const streams = { full: Buffer.alloc(0), increment: Buffer.alloc(0) }
    await withDirectory(async (directory) => {
      const { FLOCKER_ZFS_EMBEDDED_LIBRARY: library = '', TEST_DRIVER: driver = '' } = process.env
      await using other = new Engine({ library, driver })
      const key = randomBytes(16).toString('hex')
      const encryption = ['encryption:=8', 'keyformat:=1', 'keylocation=prompt']
      const [full, increment] = [join(directory, 'full'), join(directory, 'increment')]
      await other.do('open', directory, 'other')
      await other.do('create', 'other/secret', 'volume', key, `volsize:=${4 * mebibyte}`, ...encryption)
      await other.do('write', 'other/secret', 0, mebibyte, 1)
      await other.do('snapshot', 'other/secret@1')
      await other.do('write', 'other/secret', mebibyte, 65_536, 2)
      await other.do('snapshot', 'other/secret@2')
      await other.do('send', 'other/secret@1', '-', 8, full)
      await other.do('send', 'other/secret@2', 'other/secret@1', 8, increment)
      await other.do('close', 'other')
      Object.assign(streams, { full: await readFile(full), increment: await readFile(increment) })
    })
    return streams
  }
}
