import { throwIfAborted } from '../errors.js'
import type { MovePhase } from './move-options.js'

/** In their order. */
export const movePhases: readonly MovePhase[] = [
  'check',
  'image',
  'copy',
  'checkpoint',
  'hold',
  'stop',
  'push',
  'start',
  'ready',
  'switch',
  'tidy',
]

/** With 0 for those that there is no time of. */
export function allPhases(times: Readonly<Record<string, number>>): Record<MovePhase, number> {
  return Object.fromEntries(movePhases.map((name) => [name, times[name] ?? 0])) as Record<MovePhase, number>
}

/** Tells of the phases of a move, and takes their times. */
export class MovePhases {
  readonly #began = performance.now()
  readonly #times = new Map<MovePhase, number>()
  #committed = false

  constructor(
    private readonly what: string,
    private readonly onPhase: ((phase: MovePhase) => void) | undefined,
    private readonly tell: (phase: MovePhase) => void,
    private readonly onLate: (error: unknown) => void,
  ) {}

  /** Nothing ends the move any more. */
  commit(): void {
    this.#committed = true
  }

  /** @param signal ends the move before the phase, if it may still be ended */
  async run<T>(phase: MovePhase, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    throwIfAborted(signal, this.what)
    this.begin(phase)
    const began = performance.now()
    try {
      return await body()
    } finally {
      this.add(phase, performance.now() - began)
    }
  }

  begin(phase: MovePhase): void {
    this.tell(phase)
    try {
      this.onPhase?.(phase)
    } catch (error) {
      if (!this.#committed) throw error
      this.onLate(error)
    }
  }

  add(phase: MovePhase, milliseconds: number): void {
    this.#times.set(phase, (this.#times.get(phase) ?? 0) + milliseconds)
  }

  times(): Record<MovePhase, number> {
    return allPhases(Object.fromEntries(this.#times))
  }

  total(): number {
    return performance.now() - this.#began
  }
}
