/** Who has a volume, by what all known hosts say. */
import type { VolumeDescription } from './cluster.js'
import type { BlockCode, HostState, KnownHost, KnownVolume } from './deployment.js'

export type VolumeStanding =
  | { kind: 'owned'; host: string; volume: KnownVolume }
  /** No host has it, for certain. */
  | { kind: 'absent' }
  | { kind: 'blocked'; code: BlockCode; why: string }

/** The hosts that are known. */
export function knownHosts(hosts: readonly HostState[]): KnownHost[] {
  return hosts.filter((host) => host.known)
}

/** Who owns a volume, or that nobody does, or that it can't be said. */
export function standingOf({ name, external }: VolumeDescription, hosts: readonly HostState[]): VolumeStanding {
  const known = knownHosts(hosts)
  const reports = known.flatMap(({ host, volumes }) =>
    volumes.filter((volume) => volume.name === name).map((volume) => ({ host, volume })),
  )
  if (reports.length === 0) return absence(name, external === true, hosts)
  const blocked = (code: BlockCode, why: string): VolumeStanding => ({ kind: 'blocked', code, why })
  const claiming = reports.filter(({ host, volume }) => volume.owner === host)
  const [latest = 0n] = reports.map(({ volume }) => volume.epoch).sort((a, b) => (a > b ? -1 : 1))
  const owners = new Set(reports.filter(({ volume }) => volume.epoch === latest).map(({ volume }) => volume.owner))
  if (claiming.length > 1)
    return blocked(
      'two-owners',
      `${claiming
        .map(({ host }) => host)
        .sort()
        .join(' and ')} say that they own it`,
    )
  if (owners.size > 1) return blocked('two-owners', `hosts say that ${[...owners].sort().join(' and ')} own it`)
  const [owner = ''] = owners
  if (!known.some(({ host }) => host === owner)) {
    return blocked('unknown-host', `it is owned by ${owner}, of which nothing is known`)
  }
  const [claim] = claiming
  if (claim?.host !== owner || claim.volume.epoch !== latest) {
    const says = claim === undefined ? 'does not say so' : `${claim.host} says otherwise`
    return blocked('unclear-owner', `it is said to be owned by ${owner} since epoch ${latest}, and ${says}`)
  }
  return { kind: 'owned', ...claim }
}

/** No known host has it. It is absent only where none that is unknown may have it, and nothing runs that has used it. */
function absence(name: string, external: boolean, hosts: readonly HostState[]): VolumeStanding {
  const unknown = hosts.filter(({ known }) => !known).map(({ host }) => host)
  if (unknown.length > 0) {
    const why = `no known host has it, and ${unknown.sort().join(', ')} may: nothing is known of it`
    return { kind: 'blocked', code: 'unknown-host', why }
  }
  const other = knownHosts(hosts).find(({ others }) => others?.includes(name))
  if (other !== undefined) {
    const why = `no host has it as a volume, and ${other.host} has a dataset of that name`
    return { kind: 'blocked', code: 'unclear-owner', why }
  }
  if (external) return { kind: 'blocked', code: 'missing', why: 'it was to be there already, and no host has it' }
  for (const { host, applications } of knownHosts(hosts)) {
    const user = applications.find(({ description }) => mounts(description, name))
    if (user === undefined) continue
    return { kind: 'blocked', code: 'lost', why: `${user.name} on ${host} uses it, and no host has it` }
  }
  return { kind: 'absent' }
}

export function mounts(
  { volumes = [] }: { volumes?: readonly { volume: string }[] | undefined },
  name: string,
): boolean {
  return volumes.some(({ volume }) => volume === name)
}
