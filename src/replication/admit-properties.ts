/** What the receiving host makes of the properties that a stream brings: it alone decides what it lets in. Pure. */
import { ArgumentError } from '../errors.js'
import { encodeProperty } from '../lzc/property-values.js'
import type { SentProperties, Setting } from './choose-properties.js'
import { appliesTo, ruleOf } from './property-rules.js'

/**
 * Why a replica did not get a property. `not-allowed`: the receiving host lets it in only where its rules name it. `never`: no
 * host takes it from another, or does not know it. `other-type`: a dataset of that type can't have it. `bad-value`: the host knows no
 * such value. `refused`: its ZFS does not take it, as an older release does with what came later. `not-understood`: the peer's version of
 * this package does not receive properties.
 */
export type WhyLeftOut = 'not-allowed' | 'never' | 'other-type' | 'bad-value' | 'refused' | 'not-understood'

/** A property that was to go to a replica, and has not. */
export interface LeftOutProperty {
  name: string
  why: WhyLeftOut
}

export interface Admitted {
  /** As {@link SentProperties} has them. */
  received: Record<string, string> | undefined
  overrides: Record<string, string>
  leftOut: LeftOutProperty[]
}

/**
 * Decides which of the offered properties a dataset here gets.
 * @param allows whether one that is held back may come in
 */
export function admitProperties(
  { received, overrides }: SentProperties,
  type: 'filesystem' | 'volume',
  allows: (name: string) => boolean,
): Admitted {
  const leftOut: LeftOutProperty[] = []
  const admit = (settings: readonly Setting[]): Record<string, string> => {
    const admitted: Record<string, string> = Object.create(null)
    for (const { name, value } of settings) {
      const why = objection(name, value, type, allows)
      if (why === undefined) admitted[name] = value
      else leftOut.push({ name, why })
    }
    return admitted
  }
  return { received: received && admit(received), overrides: admit(overrides), leftOut }
}

function objection(
  name: string,
  value: string,
  type: 'filesystem' | 'volume',
  allows: (name: string) => boolean,
): WhyLeftOut | undefined {
  const rule = ruleOf(name, value)
  if (rule === 'stays') return 'never'
  if (!appliesTo(name, type)) return 'other-type'
  if (rule === 'held' && !allows(name)) return 'not-allowed'
  return isValue(name, value) ? undefined : 'bad-value'
}

function isValue(name: string, value: string): boolean {
  try {
    encodeProperty(name, value)
    return true
  } catch (error) {
    if (error instanceof ArgumentError) return false
    throw error
  }
}
