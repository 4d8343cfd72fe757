import { ArgumentError } from '../errors.js'
import { authorize, type Handler, isAuthorized, type Rule, type Verb } from '../transport/index.js'
import { serveMeasure } from './measure/serve-measure.js'
import { checkVolumeName } from './names.js'
import type { LocalHost } from './peer.js'
import { ruleOf } from './property-rules.js'
import { serveDestination } from './serve-destination.js'
import { serveSource } from './serve-source.js'
import { serveTree } from './serve-tree.js'

/** What a host needs to know of itself to serve others. */
export interface ServeSettings extends LocalHost {
  rules: readonly Rule[]
}

/** What peers may ask of this host, each within its rights. */
export function serve(settings: ServeSettings): Handler[] {
  const { root, rules } = settings
  for (const rule of rules) checkGrant(rule)
  const found: Gate = (volume, peer, verb) => {
    const dataset = `${root}/${volume}`
    authorize(rules, peer, verb, dataset)
    return dataset
  }
  const allowed: Gate = (volume, peer, verb) => {
    checkVolumeName(volume)
    return found(volume, peer, verb)
  }
  const shows: Shows = (dataset, peer, verb) => isAuthorized(rules, peer, verb, dataset)
  return [
    ...serveDestination(settings, allowed),
    // What is here already may have a name that we would not give.
    ...serveSource(settings, found),
    ...serveTree(settings, found, shows),
    ...serveMeasure(settings, allowed),
  ]
}

/** @throws ArgumentError for a property that no rule can let in */
function checkGrant({ peer, properties = [] }: Rule): void {
  const bad = properties.find((name) => ruleOf(name) === 'stays')
  if (bad === undefined) return
  throw new ArgumentError(`A rule for ${peer} can't let the property ${JSON.stringify(bad)} in`, {
    next: 'Name those that the peer may set, in full, such as quota or mountpoint.',
  })
}

/**
 * The full name of a volume here, if the peer may do that with it.
 * @throws NotAuthorizedError `NOT_AUTHORIZED`, ArgumentError `INVALID_ARGUMENT`
 */
export type Gate = (volume: string, peer: string, verb: Verb) => string

/** Whether the peer may know of a dataset, by its full name here. */
export type Shows = (dataset: string, peer: string, verb: Verb) => boolean
