import { OwnershipError, ZfsError } from '../errors.js'
import { exists } from '../lzc/index.js'
import { checkVolumeName, type ServeSettings } from '../replication/index.js'
import { authorize, type Handler, handle, isAuthorized, VERBS, type Verb } from '../transport/index.js'
import { checkNoApplication } from './applications.js'
import { receiveClaim } from './claim.js'
import { alone } from './context.js'
import { becomeOwner, describe, giveAway, keepServing, notePeer, recordOf, stopServing } from './custody.js'
import { Frozen } from './frozen.js'
import type { VolumeGuard } from './guard.js'
import {
  claimVolume,
  type Description,
  freezeVolume,
  prepareVolume,
  releaseVolume,
  takeVolume,
  thawVolume,
  whoOwns,
  withoutApplication,
} from './messages.js'
import { checkCanTake } from './prepare.js'
import { findRecord } from './record.js'

/** What peers may ask of this host about who owns its volumes, each within its rights. */
export function serveVolumes({ root, rules }: ServeSettings, guard: VolumeGuard): Handler[] {
  const { host, announced } = guard
  const frozen = new Frozen(host)
  const gate = (volume: string, peer: string, verb: Verb): string => {
    checkVolumeName(volume)
    const dataset = `${root}/${volume}`
    authorize(rules, peer, verb, dataset)
    return dataset
  }
  // What is to run on a volume is run by whoever owns it: whoever may only own it does not say so.
  const admit = (description: Description, dataset: string, peer: string): Description =>
    isAuthorized(rules, peer, 'run', dataset) ? description : withoutApplication(description)
  return [
    handle(claimVolume, async ({ volume, has, ...said }, { peer }) => {
      const dataset = gate(volume, peer, 'receive')
      const description = admit(said, dataset, peer)
      await receiveClaim(host, announced, dataset, peer, { description, has }, () => gate(volume, peer, 'own'))
      return {}
    }),
    handle(whoOwns, async ({ volume, id }, { peer }) => {
      checkVolumeName(volume)
      const dataset = `${root}/${volume}`
      if (!VERBS.some((verb) => isAuthorized(rules, peer, verb, dataset))) gate(volume, peer, 'inspect')
      const record = await findRecord(dataset)
      if (record === undefined || (id !== undefined && record.id !== id)) return {}
      return { description: describe(record, host.identity) }
    }),
    handle(prepareVolume, async ({ volume, ...candidate }, { peer }) => {
      await checkCanTake(host, gate(volume, peer, 'own'), candidate)
      return {}
    }),
    handle(takeVolume, async ({ volume, epoch, guid, description }, { peer }) => {
      const dataset = gate(volume, peer, 'own')
      await alone(host, dataset, async () => {
        const { id, owner } = await recordOf(dataset)
        if (id !== description.id) throw new ZfsError('EXISTS', `${dataset} is another volume`, { dataset })
        const again = owner.host === host.identity && owner.epoch === epoch
        if (owner.host !== peer && !again && owner.epoch < epoch) {
          throw new OwnershipError('NOT_OWNER', `${owner.host} owns ${dataset}, and ${peer} gives it away`, { dataset })
        }
        await becomeOwner(host, dataset, { epoch, guid }, admit(description, dataset, peer))
      })
      return {}
    }),
    handle(freezeVolume, async ({ volume, id, handoff }, { peer, connection }) => {
      const dataset = gate(volume, peer, 'own')
      await frozen.freeze(dataset, handoff, connection.signal, async () => {
        const record = await recordOf(dataset)
        if (record.id !== id) throw new ZfsError('EXISTS', `${dataset} is another volume`, { dataset })
        checkNoApplication(record, dataset)
        await notePeer(host, dataset, peer)
        await stopServing(host, dataset, peer, handoff)
      })
      return {}
    }),
    handle(releaseVolume, async ({ volume, handoff, guid }, { peer }) => {
      const dataset = gate(volume, peer, 'own')
      return alone(host, dataset, async () => {
        const record = await giveAway(host, dataset, handoff, guid, true)
        frozen.end(dataset, handoff)
        if (record.owner.host === peer) return { description: describe(record, host.identity) }
        throw new OwnershipError('HANDOFF_ENDED', `${record.owner.host} owns ${dataset}, not ${peer}`, { dataset })
      })
    }),
    handle(thawVolume, async ({ volume, handoff }, { peer }) => {
      const dataset = gate(volume, peer, 'own')
      if (!(await exists(dataset)) || (await findRecord(dataset)) === undefined) return {}
      return alone(host, dataset, async () => {
        const kept = await keepServing(host, dataset, handoff)
        frozen.end(dataset, handoff)
        return { description: describe(kept, host.identity) }
      })
    }),
  ]
}
