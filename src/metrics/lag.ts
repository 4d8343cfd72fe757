import { Counter, Gauge, type Registry } from 'prom-client'
import { codeOf, type Lag, type VolumeStatus } from '../replication/index.js'

/** What tells how volumes stand: a host. */
export interface StatusSource {
  statuses(): Promise<VolumeStatus[]>
}

const defaultStatusMilliseconds = 15_000

/** Makes gauges that are read from the status whenever the registry is. */
export function tellLag(registry: Registry, host: StatusSource, statusMilliseconds = defaultStatusMilliseconds): void {
  const statuses = readAtMostEvery(statusMilliseconds, host, registry)
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    values: (status: VolumeStatus) => { labels: Record<Label, string>; value: number }[],
  ): void => {
    const made: Gauge<Label> = new Gauge({
      name: `flocker_zfs_${name}`,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const found = (await statuses()).flatMap(values)
        made.reset()
        for (const { labels, value } of found) made.set(labels, value)
      },
    })
  }
  const seconds = lags(({ milliseconds }) => milliseconds / 1000)
  gauge('lag_seconds', 'Since what the peer has confirmed was the present state', ['volume', 'peer'], seconds)
  const bytes = lags((lag) => (lag.bytes === undefined ? undefined : Number(lag.bytes)))
  gauge('lag_bytes', 'Written since what the peer has confirmed, by estimate', ['volume', 'peer'], bytes)
  gauge('stale', 'What replications have left and none will use again', ['volume'], ({ volume, stale }) => [
    { labels: { volume }, value: stale.length },
  ])
}

/** One value for each peer of a volume whose lag has it. */
function lags(read: (lag: Lag) => number | undefined) {
  return ({ volume, peers }: VolumeStatus): { labels: { volume: string; peer: string }; value: number }[] =>
    peers.flatMap(({ peer, lag }) => {
      const value = lag === undefined ? undefined : read(lag)
      return value === undefined ? [] : [{ labels: { volume, peer }, value }]
    })
}

/** What fails is counted, and the gauges are empty until it doesn't. */
function readAtMostEvery(milliseconds: number, host: StatusSource, registry: Registry): () => Promise<VolumeStatus[]> {
  const errors = new Counter({
    name: 'flocker_zfs_status_errors_total',
    help: 'Times that the status could not be read, by the code of the error; the lag is absent then',
    labelNames: ['code'] as const,
    registers: [registry],
  })
  const read = async (): Promise<VolumeStatus[]> => {
    try {
      return await host.statuses()
    } catch (error) {
      errors.inc({ code: codeOf(error) })
      return []
    }
  }
  let last: { at: number; statuses: Promise<VolumeStatus[]> } | undefined
  return () => {
    const now = performance.now()
    if (last === undefined || now - last.at >= milliseconds) last = { at: now, statuses: read() }
    return last.statuses
  }
}
