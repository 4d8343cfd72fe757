/** Volumes of made-up data. */
import { randomBytes } from 'node:crypto'
import type { Host, Volume } from '../../src/index.js'

const mebibyte = 1024 ** 2

/** Every MiB random; every MiB half text, which lz4 can halve; or both in turn. */
export type Content = 'random' | 'compressible' | 'mixed'

export async function fill(host: Host, name: string, mebibytes: number, content: Content): Promise<Volume> {
  const size = mebibytes * mebibyte
  const volume = await host.createVolume(name, { size, properties: { volblocksize: '64K', compression: 'lz4' } })
  for (let i = 0; i < mebibytes; i++) {
    const bytes = randomBytes(mebibyte)
    const hasText = content === 'compressible' || (content === 'mixed' && i % 2 === 1)
    for (let at = 0; hasText && at < mebibyte; at += 4096) bytes.fill(`the same words, ${i} times `, at, at + 2048)
    await volume.write(i * mebibyte, bytes)
  }
  await volume.flush()
  return volume
}
