/**
 * Replication in numbers, for Prometheus: needs the package prom-client (15), which this package does not bring. docs/operation.md
 *
 * @module metrics
 */
import type { Registry } from 'prom-client'
import { onReplicationEvent } from '../replication/index.js'
import { countInto } from './count.js'
import { type StatusSource, tellLag } from './lag.js'

/** What is to be told besides. */
export interface MetricsOptions {
  /** Also tell how far peers are behind, from this host's `statuses()`, which is asked when the registry is read. */
  host?: StatusSource
  /** How long an answer of `host.statuses()` is good for, in milliseconds. Default: 15 seconds. */
  statusMilliseconds?: number
}

/**
 * Counts all replications of this process into a registry, from now on.
 * @returns ends the counting; the metrics stay in the registry
 * @throws Error by prom-client: the registry has these metrics already
 */
export function metrics(registry: Registry, options: MetricsOptions = {}): () => void {
  const stop = onReplicationEvent(countInto(registry))
  if (options.host !== undefined) tellLag(registry, options.host, options.statusMilliseconds)
  return stop
}
