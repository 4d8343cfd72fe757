/** The same through this package: the embedded engine in this process, the kernel's OpenZFS in a program of a lab host. */
import { suite } from 'uvu'
import { chooseEngine, closePool, openPool } from '../../src/lzc/index.js'
import { type Lab, openLab, type ProfileName } from '../lab/index.js'
import { SdkEmbeddedSide } from './embedded-side.js'
import { useEngine, withDirectory } from './engine.js'
import { KernelSide, SdkKernelSide } from './kernel-side.js'
import { roundTrip } from './round-trip.js'
import { contents, described } from './side.js'

/** As pushVolume sends: large blocks, embedded data and compressed blocks as they are. */
const asPushed = 7

export function interopOfSdk(profile: ProfileName): void {
  const tests = suite(profile)
  let lab: Lab
  let kernel: SdkKernelSide
  tests.before(async () => {
    await useEngine()
    chooseEngine('embedded')
    lab = await openLab({ hosts: [{ name: 'alpha', profile }] })
    await KernelSide.prepare(lab.host('alpha'))
    kernel = SdkKernelSide.start(lab.host('alpha'))
  })
  tests.after(() => lab[Symbol.asyncDispose]())

  const withPool = async (use: (embedded: SdkEmbeddedSide) => Promise<void>): Promise<void> => {
    await withDirectory(async (directory) => {
      await openPool(directory, 'emb')
      try {
        await use(new SdkEmbeddedSide())
      } finally {
        await closePool('emb')
      }
    })
  }
  const half = contents.filter(({ encrypted }) => encrypted === (profile === 'newest'))
  for (const content of process.env.FLOCKER_ZFS_INTEROP === 'all' ? contents : half) {
    const name = `${content.encrypted ? 'raw-' : ''}${content.kind}`
    tests(`${described(content)}: the ${profile} kernel, embedded, and back`, () =>
      withPool((embedded) => roundTrip(`${name}-k`, kernel, embedded, content, asPushed)),
    )
    // The SDK makes no encrypted datasets.
    if (content.encrypted) continue
    tests(`${described(content)}: embedded, the ${profile} kernel, and back`, () =>
      withPool((embedded) => roundTrip(`${name}-e`, embedded, kernel, content, asPushed)),
    )
  }
  tests.run()
}
