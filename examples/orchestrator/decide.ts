/** What the orchestrator decides, by what it sees: without I/O, the same on every host that sees the same. */

/** A host, as it tells of itself. */
export interface HostView {
  identity: string
  /** Its operator wants nothing to run there. */
  drained: boolean
  /** How many applications run there. */
  applications: number
}

/**
 * Where one of this host's applications is to go.
 * @param others the hosts that answer
 * @returns `undefined`: nothing is to move
 */
export function chooseTarget(self: HostView, others: readonly HostView[]): HostView | undefined {
  const best = leastLoaded(others)
  if (best === undefined || self.applications === 0) return undefined
  // With a difference of one, applications would go to and fro.
  return self.drained || self.applications > best.applications + 1 ? best : undefined
}

/** Whether this host is the one that takes over what a dead one had. */
export function isHeir(self: HostView, others: readonly HostView[]): boolean {
  return leastLoaded([self, ...others]) === self
}

function leastLoaded(hosts: readonly HostView[]): HostView | undefined {
  const order = (a: HostView, b: HostView): number =>
    a.applications - b.applications || (a.identity < b.identity ? -1 : 1)
  return hosts.filter(({ drained }) => !drained).sort(order)[0]
}
