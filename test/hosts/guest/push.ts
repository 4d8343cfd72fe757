/**
 * Runs inside a lab host: pushes a volume as the JSON in its first argument says, and tells on standard output, a JSON line an
 * event, how it went and what the process still has open afterwards.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isDeepStrictEqual } from 'node:util'
import { FlockerError, openHost, pushVolume, type ReplicationOptions, type ReplicationResult } from 'flocker-zfs'

export interface PushOrder {
  pool: string
  volume: string
  peer: string
  credentials?: string
  snapshot?: string
  checkSpace?: boolean
  /** Abort once so many bytes have gone. */
  abortAfterBytes?: number
  onAbort?: 'keep'
  /** Push so often, one after another. */
  times?: number
}

export interface Leftover {
  /** What each descriptor is open on, without what differs from one to the next. */
  descriptors: string[]
  threads: number
}

/** What a push went on with; sizes in bytes. */
export interface Resumed {
  snapshot: string
  kept: number
  bytes: number
}

export type PushEvent =
  | { event: 'started'; snapshot: string | undefined }
  | { event: 'progress'; bytes: number }
  | {
      event: 'result'
      kind: string
      snapshot: string
      guid: string
      bytes: number
      base?: string
      resumed?: Resumed
      milliseconds: number
    }
  | { event: 'error'; name: string; code: string; message: string; peer?: string; afterMilliseconds: number }
  | {
      event: 'end'
      before: Leftover
      after: Leftover
      idleRss: number
      peakRss: number
      loopDelayP99Milliseconds: number
    }

function emit(event: PushEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

function leftover(): Leftover {
  const descriptors = readdirSync('/proc/self/fd').flatMap((number) => target(`/proc/self/fd/${number}`))
  // Node.js's own loops make an eventfd when they first need one.
  const ours = descriptors.filter((name) => name !== 'anon_inode:[eventfd]')
  return { descriptors: ours.sort(), threads: readdirSync('/proc/self/task').length }
}

function target(link: string): string[] {
  try {
    return [readlinkSync(link).replace(/\[\d+\]/, '')]
  } catch (error) {
    // The one by which the directory itself was read.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function main(order: PushOrder): Promise<void> {
  await using host = await openHost({ pool: order.pool, credentials: order.credentials ?? '/etc/flocker-zfs' })
  // Node's own pool starts its threads on first use.
  await Promise.all(Array.from({ length: 8 }, () => readFile('/proc/self/status')))
  const before = leftover()
  const idleRss = process.memoryUsage.rss()
  let peakRss = idleRss
  const sampler = setInterval(() => {
    peakRss = Math.max(peakRss, process.memoryUsage.rss())
  }, 100)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  for (let i = 0; i < (order.times ?? 1); i++) await pushOnce(host, order)
  delay.disable()
  clearInterval(sampler)
  await settled(before)
  const loopDelayP99Milliseconds = delay.percentile(99) / 1e6
  emit({ event: 'end', before, after: leftover(), idleRss, peakRss, loopDelayP99Milliseconds })
}

async function pushOnce(host: Awaited<ReturnType<typeof openHost>>, order: PushOrder): Promise<void> {
  const abort = new AbortController()
  let moved = performance.now()
  const options: ReplicationOptions = {
    signal: abort.signal,
    ...(order.snapshot === undefined ? {} : { snapshot: order.snapshot }),
    ...(order.onAbort === undefined ? {} : { onAbort: order.onAbort }),
    ...(order.checkSpace === undefined ? {} : { checkSpace: order.checkSpace }),
    onProgress({ bytes }) {
      moved = performance.now()
      emit({ event: 'progress', bytes: Number(bytes) })
      if (order.abortAfterBytes !== undefined && bytes >= order.abortAfterBytes) abort.abort()
    },
  }
  try {
    const volume = await host.getVolume(order.volume)
    await using peer = await host.connect(order.peer)
    const pushed = await pushVolume(volume, peer, options)
    const { kind, snapshot, guid, base, bytes, milliseconds } = pushed
    const from = { ...(base === undefined ? {} : { base }), ...resumedOf(pushed) }
    emit({ event: 'result', kind, snapshot, guid: String(guid), bytes: Number(bytes), milliseconds, ...from })
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error
    const { name, code, message, peer } = error
    const from = peer === undefined ? {} : { peer }
    emit({ event: 'error', name, code, message, afterMilliseconds: performance.now() - moved, ...from })
  }
}

function resumedOf({ resumed }: ReplicationResult): { resumed?: Resumed } {
  if (resumed === undefined) return {}
  const { snapshot, kept, bytes } = resumed
  return { resumed: { snapshot, kept: Number(kept), bytes: Number(bytes) } }
}

/** What has been closed leaves /proc in a moment; on a machine with much else to do, in a longer one. */
async function settled(before: Leftover): Promise<void> {
  const deadline = performance.now() + 5000
  do await new Promise((resolve) => setTimeout(resolve, 300))
  while (!isDeepStrictEqual(leftover(), before) && performance.now() < deadline)
}

void main(JSON.parse(process.argv[2] as string))
