/** What the harness may ask of a host about who owns a volume. */
import { acquireVolume, FlockerError, type Host, handoffVolume, type VolumeInfo } from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import { digest, fill } from '../cluster.js'

/** What a host makes of a volume. */
export interface Standing {
  info: VolumeInfo
  /** Of its bytes. */
  hash: string
  /** Whether a write to it is refused. */
  readOnly: boolean
}

function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof FlockerError && error.code === code) return undefined
    throw error
  }
}

/** A receive that has lost its sender keeps its dataset until it notices. */
async function readOnceFree(dataset: string): Promise<Buffer> {
  for (const deadline = performance.now() + 20_000; ; ) {
    const bytes = await lzc.readVolume(dataset, 0n, 512).catch(unless('BUSY'))
    if (bytes !== undefined) return bytes
    if (performance.now() > deadline) throw new Error(`${dataset} stays in use`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const diskBytes = 2 * 1024 * 1024

export const ownershipCommands = (host: () => Host) => ({
  /** Makes a volume with something in it; the hash of that. */
  async createOwned(volume: string): Promise<string> {
    const made = await host().createVolume(volume, { size: diskBytes, metadata: { of: volume } })
    await fill(made, 0, 1)
    await made.flush()
    return digest(made)
  },

  /** Changes hands with who listens on a port; the code of the error that it ended with. */
  async changeHands(port: number, volume: string, direction: 'give' | 'take'): Promise<string | undefined> {
    try {
      await using peer = await host().connect(`127.0.0.1:${port}`)
      const options = { tellMilliseconds: 3000 }
      if (direction === 'take') await acquireVolume(volume, peer, options)
      else await handoffVolume(await host().getVolume(volume), peer, options)
      return undefined
    } catch (error) {
      if (error instanceof FlockerError) return error.code
      throw error
    }
  },

  /** Brings all volumes to where they belong, with who listens on a port; what is left. */
  async settle(port: number): Promise<string[]> {
    await using _ = await host().connect(`127.0.0.1:${port}`)
    const left = await host().recover()
    return left.map(({ volume, why }) => `${volume}: ${why.message}`)
  },

  /** How a volume stands; `undefined` where there is none. */
  async standing(volume: string): Promise<Standing | undefined> {
    const dataset = `${host().root}/${volume}`
    if (!(await lzc.exists(dataset))) return undefined
    const info = await host().inspectVolume(volume).catch(unless('NOT_FOUND'))
    // A part of a first stream is no volume yet.
    if (info === undefined) return undefined
    const first = await readOnceFree(dataset)
    const readOnly = await lzc.writeVolume(dataset, 0n, first).then(
      () => false,
      () => true,
    )
    return { info, hash: await digest({ dataset }), readOnly }
  },
})
