/** Seeded damage to bytes, so that a failure can be run again. */

/** A small seeded generator (mulberry32): each call gives an integer from 0 to below its argument. */
export function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

export type Random = ReturnType<typeof generator>

/** Feeds bytes in random pieces of at most that many bytes. */
export function pieces(bytes: Buffer, random: Random, most = 40): Buffer[] {
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const take = 1 + random(Math.min(most, bytes.length - at))
    out.push(bytes.subarray(at, at + take))
    at += take
  }
  return out
}

/** Changes a few bytes, and now and then drops what follows one. */
export function damage(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  for (let n = random(4); n > 0; n -= 1) if (copy.length > 0) copy[random(copy.length)] = random(256)
  return random(5) === 0 ? copy.subarray(0, random(copy.length + 1)) : copy
}
