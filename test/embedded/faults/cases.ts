/** The cases of a sweep: what was recorded of each operation, times what can happen there. */
import type { Random } from '../../unit/fuzzing.js'
import { type Fault, faults } from './faults.js'
import type { Flow, Spot } from './link.js'
import type { Operation, Side } from './operations.js'
import { directionOf } from './pair.js'

/** Where a fault strikes. */
export type Place = { where: 'step'; side: Side; step: string } | { where: 'record' | 'data'; spot: Spot }

export interface Case {
  operation: Operation
  fault: Fault
  place: Place
}

/** What an operation does when nothing happens to it. */
export interface Recording {
  operation: Operation
  steps: Record<Side, readonly string[]>
  flows: readonly Flow[]
}

/** How many records at the beginning of a flow are gone through one by one, and at its end. */
const endRecords = 12
/** How many places in the middle of the data each fault strikes at. */
const dataPlaces = 4

export function casesOf(recording: Recording, random: Random): Case[] {
  const { operation } = recording
  const places = placesOf(recording, random)
  return faults.flatMap((fault) =>
    places.filter((place) => fits(fault, place)).map((place) => ({ operation, fault, place })),
  )
}

function fits({ where }: Fault, place: Place): boolean {
  if (where.includes(place.where)) return true
  return where.includes('message') && place.where === 'step' && /^(say|frame) /.test(place.step)
}

function placesOf({ operation, steps, flows }: Recording, random: Random): Place[] {
  const atSteps = (['alpha', 'beta'] as const).flatMap((side) =>
    steps[side].map((step): Place => ({ where: 'step', side, step })),
  )
  const atRecords = flows.flatMap(({ connection, direction, records }) =>
    Array.from({ length: records }, (_, record) => record)
      .filter((record) => record < endRecords || record >= records - endRecords)
      .map((record): Place => {
        const spot = { connection, direction, record, part: random(1000) / 1000 }
        return { where: 'record', spot }
      }),
  )
  const largest = dataFlow(operation, flows)
  const inData = Array.from({ length: dataPlaces }, (): Place => {
    const part = (100 + random(800)) / 1000
    const { connection, direction, bytes } = largest
    return { where: 'data', spot: { connection, direction, offset: Math.floor(part * bytes) } }
  })
  return [...atSteps, ...atRecords, ...inData]
}

/** Where most of the data goes. */
export function dataFlow(operation: Operation, flows: readonly Flow[]): Flow {
  const data = flows.filter(({ direction }) => direction === directionOf(operation))
  return data.reduce((largest, flow) => (flow.bytes > largest.bytes ? flow : largest))
}

/** A case's name, by which it can be asked for again. */
export function nameOf({ operation, fault, place }: Case): string {
  return `${operation.name}: ${fault.name} at ${describe(place)}`
}

function describe(place: Place): string {
  if (place.where === 'step') return `"${place.step}" of ${place.side}`
  const { spot } = place
  const flow = `connection ${spot.connection} ${spot.direction}`
  if ('offset' in spot) return `byte ${spot.offset} of ${flow}`
  return `record ${spot.record} (${Math.round(spot.part * 100)} %) of ${flow}`
}

/** Puts cases into a random order in which each fault, each operation and each kind of place comes up early. */
export function mixed(cases: readonly Case[], random: Random): Case[] {
  const groups = new Map<string, Case[]>()
  for (const each of shuffled(cases, random)) {
    const key = `${each.fault.name} ${each.place.where}`
    groups.set(key, [...(groups.get(key) ?? []), each])
  }
  const order = shuffled([...groups.values()], random)
  const rounds = Math.max(0, ...order.map(({ length }) => length))
  return Array.from({ length: rounds }, (_, i) => order.flatMap((group) => group[i] ?? [])).flat()
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random(i + 1)
    ;[copy[i], copy[j]] = [copy[j] as T, copy[i] as T]
  }
  return copy
}
