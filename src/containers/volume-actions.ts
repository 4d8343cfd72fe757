/** What a deployment does with volumes of this host. */
import { ArgumentError } from '../errors.js'
import { ruleOf } from '../replication/property-rules.js'
import { createVolume, inspectVolume, resizeVolume } from '../volumes/index.js'
import type { ContainersHost } from './context.js'

/** A volume to be made. */
export interface NewVolume {
  volume: string
  /** In bytes. */
  quota?: bigint | undefined
  properties?: Readonly<Record<string, string>> | undefined
  metadata?: Readonly<Record<string, string>> | undefined
}

export async function createHere(
  { host }: ContainersHost,
  { volume, quota, properties, metadata }: NewVolume,
): Promise<void> {
  await createVolume(host, volume, {
    ...(quota === undefined ? {} : { quota }),
    ...(properties === undefined ? {} : { properties: { ...properties } }),
    ...(metadata === undefined ? {} : { metadata }),
  })
}

/** @throws ArgumentError: it is a block volume, whose end would be cut off */
export async function resizeHere({ host }: ContainersHost, volume: string, size: bigint): Promise<void> {
  const { type, dataset } = await inspectVolume(host, volume)
  if (type === 'volume') throw new ArgumentError(`${dataset} is a block volume: it has no quota`, { dataset })
  await resizeVolume(host, volume, size)
}

/**
 * What a peer may give to a volume that it has made here: as with what it replicates to here, what is each host's own affair needs a rule.
 * @param allows whether a rule names the property
 * @throws ArgumentError
 */
export function checkProperties(properties: Readonly<Record<string, string>>, allows: (name: string) => boolean): void {
  for (const [name, value] of Object.entries(properties)) {
    const rule = ruleOf(name, value)
    if (rule === 'goes' || (rule === 'held' && allows(name))) continue
    throw new ArgumentError(`A volume that another host has made here can't be given ${name}`, {
      next: "If it may be, name it in the rules of the host that is to have the volume: { properties: ['...'] }.",
    })
  }
}
