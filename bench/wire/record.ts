/** Fills a volume with partly compressible data and sends it into a file, as pushVolume sends. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createCa, createHostCertificate, openHost } from '../../src/index.js'
import { send, snapshot } from '../../src/lzc/index.js'
import { fill } from '../embedded/fill.js'

interface Order {
  directory: string
  mebibytes: number
  file: string
}

/** Of what is written, this much is left at most when lz4 is done: three quarters, and the metadata. */
const kept = 0.74

async function main({ directory, mebibytes, file }: Order): Promise<void> {
  const credentials = join(directory, 'recorder')
  await createCa(join(directory, 'ca'))
  await createHostCertificate(join(directory, 'ca'), credentials, { identity: 'recorder' })
  await using host = await openHost({ embedded: join(directory, 'pool'), credentials })
  const volume = await fill(host, 'recorded', Math.ceil(mebibytes / kept), 'mixed')
  const name = `${volume.dataset}@recorded`
  await snapshot(name)
  const flags = { largeBlocks: true, embedded: true, compressed: true }
  await pipeline(send(name, { flags }), createWriteStream(file))
}

void main(JSON.parse(process.argv[2] as string))
