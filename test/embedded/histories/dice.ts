/** Mulberry32: small, and the same everywhere. */
export class Dice {
  constructor(private state: number) {}

  /** From 0 up to 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to the limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** @throws Error where there is nothing to choose from */
  of<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('There is nothing to choose from')
    return items[this.below(items.length)] as T
  }

  chance(part: number): boolean {
    return this.next() < part
  }
}
