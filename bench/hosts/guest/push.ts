/** Runs inside a lab host: pushes volumes side by side, and says what that took once this process had started. */
import { openHost, pushVolume } from 'flocker-zfs'

export interface PushOrder {
  pool: string
  peer: string
  volumes: string[]
  snapshot: string
  /** What each must turn out to be. */
  kind: 'full' | 'incremental'
}

export interface Pushed {
  /** From connecting until the last is confirmed. */
  milliseconds: number
  /** Of all streams. */
  bytes: number
}

async function main({ pool, peer, volumes, snapshot, kind }: PushOrder): Promise<void> {
  await using host = await openHost({ pool, credentials: '/etc/flocker-zfs', recovery: 'none' })
  const began = performance.now()
  await using connection = await host.connect(peer)
  const pushed = await Promise.all(
    volumes.map(async (name) => pushVolume(await host.getVolume(name), connection, { snapshot })),
  )
  const other = pushed.find((result) => result.kind !== kind)
  if (other !== undefined) throw new Error(`a push was ${other.kind}, not ${kind}`)
  const bytes = pushed.reduce((sum, result) => sum + Number(result.bytes), 0)
  const said: Pushed = { milliseconds: performance.now() - began, bytes }
  console.log(JSON.stringify(said))
}

if (require.main === module) void main(JSON.parse(process.argv[2] as string))
