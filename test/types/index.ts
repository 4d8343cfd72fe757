/** The types of flocker-zfs, which tsc checks and nobody runs: what fits, and what must not. */
import type { Readable } from 'node:stream'
import * as zfs from '../../src/index.js'
import { equal } from './equal.js'

export async function hosts(): Promise<void> {
  await using host = await zfs.openHost({ pool: 'tank', credentials: '/etc/flocker' })
  equal<typeof host, zfs.Host>(true)
  // @ts-expect-error: a host has credentials
  await zfs.openHost({ pool: 'tank' })
  // @ts-expect-error: only openHost makes one
  zfs.Host()
  await using peer = await host.connect('beta', { expectIdentity: 'beta', timeoutMilliseconds: 1000 })
  equal<typeof peer, zfs.Peer>(true)
  const server = await host.listen({ authorize: [{ peer: 'beta', verbs: ['receive'], datasets: ['tank/flocker/**'] }] })
  equal<typeof server, zfs.Server>(true)
  // @ts-expect-error: who may do what must be said
  await host.listen({ port: 4523 })
  // @ts-expect-error: no such verb
  const rule: zfs.Rule = { peer: 'beta', verbs: ['destroy'], datasets: [] }
  return void rule
}

export async function replication(host: zfs.Host, peer: zfs.Peer): Promise<void> {
  const volume = await host.createVolume('a', { size: 1n << 30n, properties: { volblocksize: '16K' } })
  equal<typeof volume, zfs.Volume>(true)
  const limit = new zfs.RateLimiter(1e6)
  const result = await zfs.pushVolume(volume, peer, { limit, onProgress: told, signal: AbortSignal.timeout(1000) })
  equal<typeof result, zfs.ReplicationResult>(true)
  equal<typeof result.kind, 'full' | 'incremental' | 'current'>(true)
  equal<typeof result.guid, bigint>(true)
  equal<typeof result.resumed, zfs.ResumedStream | undefined>(true)
  // @ts-expect-error: nothing that isn't asked for in these words
  await zfs.pushVolume(volume, peer, { onDivergence: 'overwrite' })
  // @ts-expect-error: milliseconds are a number
  await zfs.pushVolume(volume, peer, { stallMilliseconds: 5n })
  // @ts-expect-error: a name is not a volume
  await zfs.pushVolume('a', peer)
}

function told({ bytes, total, secondsLeft }: zfs.Progress): void {
  equal<typeof bytes, bigint>(true)
  equal<typeof total, bigint>(true)
  equal<typeof secondsLeft, number | undefined>(true)
}

export async function volumes(volume: zfs.Volume): Promise<void> {
  const bytes = await volume.read(0, 512)
  equal<typeof bytes, Buffer>(true)
  await volume.write(1n << 40n, new Uint8Array(512))
  // @ts-expect-error: a length is a number
  await volume.read(0n, 512n)
  const stream: Readable = volume.readable({ start: 0, end: 511n })
  return void stream
}

export function errors(error: unknown): string | undefined {
  if (error instanceof zfs.DivergedError) {
    equal<typeof error.common, zfs.NamedPoint | undefined>(true)
    equal<typeof error.losing, readonly zfs.NamedPoint[]>(true)
  }
  if (!(error instanceof zfs.FlockerError)) return undefined
  equal<typeof error.code, string>(true)
  equal<typeof error.errno, number | undefined>(true)
  // @ts-expect-error: a code stays what it is
  error.code = 'OTHER'
  return error.next
}
