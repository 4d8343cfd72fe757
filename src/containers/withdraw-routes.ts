/** Takes addresses away from an application that no longer has them. */
import { FlockerError } from '../errors.js'
import type { ApplicationRoute } from './application.js'
import { addressKey } from './canonical.js'
import type { ContainersHost } from './context.js'

type Routes = readonly Pick<ApplicationRoute, 'address'>[] | undefined

/** Has clients led to it no more, on this host's proxy and all others that can be reached, by the addresses that it had and has not any more. */
export async function withdrawRoutes(
  context: ContainersHost,
  application: string,
  epoch: bigint,
  { before = [], after = [], signal }: { before: Routes; after?: Routes; signal?: AbortSignal | undefined },
): Promise<void> {
  const kept = new Set(after.map(({ address }) => addressKey(address)))
  for (const { address } of before) {
    if (kept.has(addressKey(address))) continue
    try {
      await context.announce(application, epoch, { kind: 'remove', addresses: [address] }, signal)
    } catch (error) {
      // Another application has it by now, or a later owner of this one.
      const others = error instanceof FlockerError && (error.code === 'ROUTE_CONFLICT' || error.code === 'ROUTE_STALE')
      if (!others) throw error
    }
  }
}
