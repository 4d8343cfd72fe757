/** The other volumes of an application: they go where its primary one has gone, once that is decided. */
import { setTimeout as wait } from 'node:timers/promises'
import { OwnershipError } from '../errors.js'
import { type Peer, pushVolume } from '../replication/index.js'
import { type HandoffOptions, handoffForApplication, openVolume } from '../volumes/index.js'
import { companionVolumes } from './application.js'
import { type ContainersHost, exclusively } from './context.js'
import { type CompanionHere, readAllDesired, readCompanions } from './desired.js'
import { findOurs, isAlive } from './info.js'
import { handoffOptions, type Move, mayPass } from './move-parts.js'

/** How long to try to hand one over, in milliseconds; afterwards it is done in the background. */
const tryMilliseconds = 60_000
const againMilliseconds = 500

/** Brings there, while they are in use, what can be brought before. */
export async function copyCompanions({ context, peer, application, options, phases }: Move): Promise<void> {
  const { signal, limit } = options
  for (const name of companionVolumes(application)) {
    await phases.run('copy', signal, async () => {
      const volume = await openVolume(context.host.root, name)
      await pushVolume(volume, peer, { ...(signal && { signal }), ...(limit === undefined ? {} : { limit }) })
    })
  }
}

/** Hands over what goes with the primary volume, which has changed hands. */
export async function handOverCompanions({
  context,
  peer,
  application,
  options,
  phases,
}: Pick<Move, 'context' | 'peer' | 'application' | 'options' | 'phases'>): Promise<void> {
  const { signal: _, onProgress: _p, ...handoff } = handoffOptions(options)
  for (const volume of companionVolumes(application)) {
    await phases.run('push', undefined, () => handOver(context, volume, peer, handoff))
  }
}

async function handOver({ host }: ContainersHost, name: string, peer: Peer, options: HandoffOptions): Promise<void> {
  const deadline = performance.now() + tryMilliseconds
  const volume = await openVolume(host.root, name)
  for (;;) {
    try {
      await handoffForApplication(volume, peer, options)
      return
    } catch (error) {
      if (error instanceof OwnershipError && error.code === 'NOT_OWNER') return
      if (!mayPass(error) || performance.now() > deadline) throw error
      await wait(againMilliseconds)
      if (!peer.isOpen) await peer.reconnect({ signal: AbortSignal.timeout(tryMilliseconds) })
    }
  }
}

/** A companion that a crash has kept from following. */
export interface Straggler {
  companion: CompanionHere
  /** Who owns the volume that it follows. */
  owner: string
}

/** Companions that this host still owns, though another one owns the volume that they follow. */
export async function findStragglers({ host }: ContainersHost): Promise<Straggler[]> {
  const companions = (await readCompanions(host)).filter(({ owned, served }) => owned && served)
  if (companions.length === 0) return []
  const primaries = new Map((await readAllDesired(host)).map((desired) => [desired.volume, desired]))
  return companions.flatMap((companion) => {
    const primary = primaries.get(companion.follows)
    return primary === undefined || primary.owned ? [] : [{ companion, owner: primary.owner.host }]
  })
}

/** Hands one over, once nothing here uses it any more. */
export async function sendStraggler(
  context: ContainersHost,
  { companion, owner }: Straggler,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name, volume } = companion
  await exclusively(context, name, async () => {
    const left = await findOurs(await context.engine(signal), context.identity, name, { signal })
    if (left !== undefined && isAlive(left)) return
    await handOver(context, volume, await context.reach(owner, signal), signal === undefined ? {} : { signal })
  })
}
