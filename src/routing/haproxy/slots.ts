/** Which of a route's servers stands for which target. Pure. */
import { isSameTarget } from '../address.js'
import type { Slot, TableRoute } from './table.js'

/** How many a route has at first, and how many more it gets where all are in use. */
export const SLOT_STEP = 4

/** The slot that has the target already, or an unused one; undefined where there is neither. */
export function findSlot({ slots }: TableRoute, wanted: Slot): number | undefined {
  const same = slots.findIndex((slot) => slot?.ip === wanted.ip && isSameTarget(slot.target, wanted.target))
  const index = same >= 0 ? same : slots.indexOf(undefined)
  return index >= 0 ? index : undefined
}

/** The route with a slot's target taken out, where it is not the present one and has no connections. */
export function freeSlots(route: TableRoute, isBusy: (index: number) => boolean): TableRoute {
  return { ...route, slots: route.slots.map((slot, i) => (i === route.current || isBusy(i) ? slot : undefined)) }
}

/** The route with more slots. */
export function addSlots(route: TableRoute): TableRoute {
  return { ...route, slots: [...route.slots, ...Array<undefined>(SLOT_STEP).fill(undefined)] }
}

/** The route, going to the target by that slot, and no longer held. */
export function pointTo(route: TableRoute, index: number, target: Slot): TableRoute {
  return {
    ...route,
    slots: route.slots.map((slot, i) => (i === index ? target : slot)),
    current: index,
    heldUntil: undefined,
  }
}
