import { channel } from 'node:diagnostics_channel'
import type { MovePhase } from './move-options.js'

/** A move of this process's, as each of its phases begins. */
export interface MoveEvent {
  application: string
  /** Identities. */
  from: string
  to: string
  phase: MovePhase
}

const events = channel('flocker-zfs:move')

/**
 * Listens to the moves of this process. They go through the diagnostics channel `flocker-zfs:move` of Node.js.
 * @returns ends it
 */
export function onMoveEvent(listener: (event: MoveEvent) => void): () => void {
  const subscriber = (message: unknown): void => listener(message as MoveEvent)
  events.subscribe(subscriber)
  return () => void events.unsubscribe(subscriber)
}

export function announceMove(event: MoveEvent): void {
  events.publish(event)
}
