import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { codeOf, type ReplicationEvent } from '../replication/index.js'

/** From a tenth of a second to a day. */
const secondsBuckets = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600]

/** What counts each event into a registry. */
export function countInto(registry: Registry): (event: ReplicationEvent) => void {
  const common = { registers: [registry] }
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name: `flocker_zfs_${name}`, help, labelNames, ...common })
  const stream = ['side', 'peer', 'kind'] as const
  const started = counter('streams_started_total', 'Streams begun', stream)
  const done = counter('streams_done_total', 'Streams that arrived whole', stream)
  const failed = counter('streams_failed_total', 'Streams that failed, by the code of the error', [...stream, 'code'])
  const bytes = counter('stream_bytes_total', 'Bytes of streams moved', stream)
  const resumed = counter(
    'stream_resumed_bytes_total',
    'Bytes that had arrived before, and were not sent again',
    stream,
  )
  const retries = counter('retries_total', 'Replications tried again, by the code of the error', [
    'side',
    'peer',
    'code',
  ])
  const ends = counter('replications_total', 'Replications that ended, by the code of the error, or OK', [
    'side',
    'peer',
    'code',
  ])
  const planned = counter('tree_steps_total', 'Steps of plans of trees, by what became of them', [
    ...stream,
    'outcome',
  ] as const)
  const findings = counter('tree_findings_total', 'Findings of plans of trees', stream)
  const steps = counter('steps_total', 'All steps of replications, by their names', ['side', 'peer', 'step'] as const)
  const seconds = new Histogram({
    name: 'flocker_zfs_stream_seconds',
    help: 'How long streams took that arrived whole',
    labelNames: stream,
    buckets: secondsBuckets,
    ...common,
  })
  const inFlight = new Gauge({
    name: 'flocker_zfs_streams_in_flight',
    help: 'Streams under way',
    labelNames: ['side', 'peer'] as const,
    ...common,
  })
  return (event) => {
    const { side, peer } = event
    if (event.step !== 'streamMoved') steps.inc({ side, peer, step: event.step })
    switch (event.step) {
      case 'streamBegun':
        started.inc({ side, peer, kind: event.kind })
        resumed.inc({ side, peer, kind: event.kind }, Number(event.kept))
        inFlight.inc({ side, peer })
        break
      case 'streamMoved':
        bytes.inc({ side, peer, kind: event.kind }, Number(event.bytes))
        break
      case 'streamDone':
        done.inc({ side, peer, kind: event.kind })
        seconds.observe({ side, peer, kind: event.kind }, event.milliseconds / 1000)
        inFlight.dec({ side, peer })
        break
      case 'streamFailed':
        failed.inc({ side, peer, kind: event.kind, code: codeOf(event.error) })
        inFlight.dec({ side, peer })
        break
      case 'retrying':
        retries.inc({ side, peer, code: codeOf(event.error) })
        break
      case 'done':
        ends.inc({ side, peer, code: 'OK' })
        break
      case 'failed':
        ends.inc({ side, peer, code: codeOf(event.error) })
        break
      case 'treeDone':
        ends.inc({ side, peer, code: event.code })
        break
      case 'found':
        findings.inc({ side, peer, kind: event.finding })
        break
      case 'stepDone':
        planned.inc({ side, peer, kind: event.kind, outcome: 'done' })
        break
      case 'stepFailed':
        planned.inc({ side, peer, kind: event.kind, outcome: 'failed' })
        break
      case 'stepLeftOut':
        planned.inc({ side, peer, kind: event.kind, outcome: 'left-out' })
        break
    }
  }
}
