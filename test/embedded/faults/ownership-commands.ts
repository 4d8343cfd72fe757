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
    const first = await lzc.readVolume(dataset, 0n, 512).catch(unless('BUSY'))
    // That is so where a part of a first stream has made it one: nobody can read it.
    if (first === undefined) return { info, hash: '', readOnly: true }
    const readOnly = await lzc.writeVolume(dataset, 0n, first).then(
      () => false,
      () => true,
    )
    return { info, hash: await digest({ dataset }), readOnly }
  },
})
