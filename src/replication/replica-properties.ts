/** What a replica here is received with. */
import { forgetReceivedProperties, keepLocalProperties } from '../datasets/index.js'
import type { BeginRecord, ReceiveOptions } from '../lzc/index.js'
import type { Admitted } from './admit-properties.js'

/** What was received before is to go, and nothing else. */
export async function prepareForProperties(dataset: string, { features, fromguid }: BeginRecord): Promise<void> {
  const restOfFull = features.includes('resuming') && fromguid === 0n
  await (restOfFull ? forgetReceivedProperties(dataset) : keepLocalProperties(dataset))
}

/**
 * A replica must not change by itself: read-only, and mounted only when somebody asks for it, unless told otherwise.
 * @param marks those of a volume that somebody owns: of that there is nothing else to be told
 */
export function replicaOptions(
  begin: BeginRecord,
  { received, overrides }: Admitted,
  marks: Readonly<Record<string, string>> | undefined,
): Pick<ReceiveOptions, 'properties' | 'overrides' | 'raw'> {
  const still = { readonly: 'on', ...(begin.type === 'filesystem' && { canmount: 'noauto' }) }
  return {
    ...(received && { properties: received }),
    overrides: marks === undefined ? { ...still, ...overrides } : { ...overrides, ...still, ...marks },
    raw: begin.features.includes('raw'),
  }
}
