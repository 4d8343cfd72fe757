/**
 * Streams and resume tokens between the embedded engine and a real kernel, verified by content: each kernel with the engine that is
 * nearest to it in age, or with FLOCKER_ZFS_INTEROP=all with every one.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Lab, openLab, type ProfileName } from '../lab/index.js'
import { sh } from './content.js'
import { DriverSide } from './embedded-side.js'
import { build, Engine, releases, withDirectory } from './engine.js'
import { KernelSide } from './kernel-side.js'
import { roundTrip } from './round-trip.js'
import { contents, described } from './side.js'

export function interop(profile: ProfileName): void {
  const tests = suite(profile)
  let lab: Lab
  tests.before(async () => {
    lab = await openLab({ hosts: [{ name: 'alpha', profile }] })
    await KernelSide.prepare(lab.host('alpha'))
  })
  tests.after(() => lab[Symbol.asyncDispose]())

  // The other half is exchanged through the SDK, with the same kernel.
  const half = contents.filter(({ encrypted }) => encrypted === (profile === 'oldest'))
  const exchanged = process.env.FLOCKER_ZFS_INTEROP === 'all' ? contents : half
  const nearest = profile === 'oldest' ? releases.slice(0, 1) : releases.slice(-1)
  for (const zfs of process.env.FLOCKER_ZFS_INTEROP === 'all' ? releases : nearest) {
    const name = (what: string): string => `${what}-${zfs}`
    const withEngine = async (use: (embedded: DriverSide, kernel: KernelSide) => Promise<void>): Promise<void> => {
      const built = await build(zfs)
      await withDirectory(async (directory) => {
        await using engine = new Engine(built)
        await engine.do('open', directory, 'emb')
        await use(new DriverSide(engine, directory), new KernelSide(lab.host('alpha')))
        await engine.do('close', 'emb')
      })
    }
    for (const content of exchanged) {
      const short = `${content.encrypted ? 'raw-' : ''}${content.kind}`
      tests(`${described(content)}: embedded ${zfs}, the ${profile} kernel, and back`, () =>
        withEngine((embedded, kernel) => roundTrip(name(`${short}-e`), embedded, kernel, content, 0)),
      )
      tests(`${described(content)}: the ${profile} kernel, embedded ${zfs}, and back`, () =>
        withEngine((embedded, kernel) => roundTrip(name(`${short}-k`), kernel, embedded, content, 0)),
      )
    }

    tests(`the ${profile} kernel mounts a filesystem that embedded ${zfs} has made`, () =>
      withEngine(async (embedded, kernel) => {
        await embedded.create('emb/new', { kind: 'filesystem', encrypted: false })
        await embedded.snapshot('emb/new@a')
        const dataset = `${kernel.pool}/${name('new')}`
        await kernel.receive(`${dataset}@a`, await embedded.send('emb/new@a', { flags: 0 }))
        const script = 'zfs mount "$1"; stat -c "%a %u %h" "/$1"; ls -a "/$1" | wc -l'
        assert.is(await sh(lab.host('alpha'), script, dataset), '755 0 2\n2')
      }),
    )
  }
  tests.run()
}
