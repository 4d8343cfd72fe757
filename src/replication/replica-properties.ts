/** What a replica here is received with. */
import { forgetReceivedProperties, keepLocalProperties } from '../datasets/index.js'
import type { BeginRecord, ReceiveOptions } from '../lzc/index.js'
import type { Admitted } from './admit-properties.js'

/** What was received before is to go, and nothing else. */
export async function prepareForProperties(dataset: string, { features, fromguid }: BeginRecord): Promise<void> {
  const restOfFull = features.includes('resuming') && fromguid === 0n
  await (restOfFull ? forgetReceivedProperties(dataset) : keepLocalProperties(dataset))
}

/** A replica must not change by itself: read-only, and mounted only when somebody asks for it, unless told otherwise. */
export function replicaOptions(
  begin: BeginRecord,
  { received, overrides }: Admitted,
): Pick<ReceiveOptions, 'properties' | 'overrides' | 'raw'> {
  const still = { readonly: 'on', ...(begin.type === 'filesystem' && { canmount: 'noauto' }) }
  return {
    ...(received && { properties: received }),
    overrides: { ...still, ...overrides },
    raw: begin.features.includes('raw'),
  }
}
