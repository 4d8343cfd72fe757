/** What peers that deploy may ask of this host, each within its rights. */
import { NotAuthorizedError } from '../errors.js'
import type { ServeSettings } from '../replication/index.js'
import { authorize, type Handler, handle, isAuthorizedBelow, mayBring } from '../transport/index.js'
import type { ContainersHost } from './context.js'
import { limitVolume, makeVolume, readHost } from './deployment-messages.js'
import { readHostState } from './host-state.js'
import { checkProperties, createHere, resizeHere } from './volume-actions.js'

export function serveDeployment({ root, rules }: ServeSettings, context: ContainersHost): Handler[] {
  return [
    handle(readHost, async (_, { peer, signal, emit }) => {
      // All or nothing: who sees a part would take the rest for not being there.
      if (!isAuthorizedBelow(rules, peer, 'run', root)) throw notAll(peer, root)
      const { applications, volumes, foreign, others = [] } = await readHostState(context, signal)
      for (const application of applications) emit({ kind: 'application', application })
      for (const volume of volumes) emit({ kind: 'volume', volume })
      for (const name of foreign) emit({ kind: 'foreign', name })
      for (const name of others) emit({ kind: 'other', name })
      return { told: applications.length + volumes.length + foreign.length + others.length }
    }),
    handle(makeVolume, async (wanted, { peer }) => {
      const dataset = `${root}/${wanted.volume}`
      authorize(rules, peer, 'own', dataset)
      checkProperties(wanted.properties ?? {}, (name) => mayBring(rules, peer, dataset, name))
      await createHere(context, wanted)
      return {}
    }),
    handle(limitVolume, async ({ volume, size }, { peer }) => {
      authorize(rules, peer, 'own', `${root}/${volume}`)
      await resizeHere(context, volume, size)
      return {}
    }),
  ]
}

function notAll(peer: string, root: string): NotAuthorizedError {
  return new NotAuthorizedError(`${peer} may not see all of what this host has`, {
    next: `If it is to deploy here, allow it: { peer: '${peer}', verbs: ['run'], datasets: ['${root}/**'] }.`,
  })
}
