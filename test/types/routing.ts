/** The types of flocker-zfs/routing, which tsc checks and nobody runs: what fits, and what must not. */
import * as routing from '../../src/routing/index.js'
import { equal } from './equal.js'

export async function routes(): Promise<void> {
  await using router = await routing.openBuiltInRouter({ address: '::', connectMilliseconds: 1000 })
  equal<typeof router, routing.Router>(true)
  await router.set({ kind: 'tcp', port: 5432 }, { host: 'alpha.example', port: 5432 })
  await router.set({ kind: 'tls', serverName: 'db.example' }, undefined)
  await router.hold({ kind: 'http', host: 'www.example' }, { deadlineMilliseconds: 10_000 })
  const [first] = await router.list()
  if (first) equal<typeof first.state, 'open' | 'held' | 'none'>(true)
  equal<Awaited<ReturnType<typeof router.disconnect>>, number>(true)
  // @ts-expect-error: a hold has a deadline
  await router.hold({ kind: 'tcp', port: 5432 })
  // @ts-expect-error: a tcp address has a port
  await router.set({ kind: 'tcp' }, undefined)
  // @ts-expect-error: HAProxy needs a directory
  await routing.openHaproxyRouter({})
}
