/** The types of flocker-zfs/metrics, which tsc checks and nobody runs: what fits, and what must not. */
import type { Registry } from 'prom-client'
import type * as zfs from '../../src/index.js'
import * as counting from '../../src/metrics/index.js'
import { equal } from './equal.js'

export function counts(registry: Registry, host: zfs.Host): void {
  const stop = counting.metrics(registry)
  equal<typeof stop, () => void>(true)
  counting.metrics(registry, { host, statusMilliseconds: 1000 })
  const options: counting.MetricsOptions = { host }
  counting.metrics(registry, options)
  // @ts-expect-error: a host, not its name
  counting.metrics(registry, { host: 'alpha' })
  // @ts-expect-error: milliseconds are a number
  counting.metrics(registry, { statusMilliseconds: 5n })
  // @ts-expect-error: there is no registry by default
  counting.metrics()
  // @ts-expect-error: a registry is one of prom-client's
  counting.metrics({ register: true })
}

export function events(event: zfs.ReplicationEvent): void {
  equal<typeof event.transferId, string>(true)
  equal<typeof event.tree, string | undefined>(true)
  equal<typeof event.side, 'send' | 'receive'>(true)
  if (event.step === 'stepDone') {
    equal<typeof event.kind, 'rename' | 'create' | 'discard' | 'full' | 'incremental' | 'clone' | 'resume'>(true)
    equal<typeof event.bytes, bigint>(true)
  }
  if (event.step === 'treeDone') equal<typeof event.code, string>(true)
  // @ts-expect-error: not every step is of a stream
  event.guid
}
