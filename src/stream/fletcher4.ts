/** Bytes of one checksum word (uint32), and of what is summed up before the carries are dealt with. */
const wordBytes = 4
const blockWords = 64
const twoTo32 = 2 ** 32

/**
 * Fletcher-4 as send streams have it (zcommon/zfs_fletcher.c): for each uint32, a += word, b += a, c += b, d += c, each modulo
 * 2^64.
 *
 * A block of 64 words, summed from zero, stays below 2^52 in d, so that doubles hold it exactly; the sums before the block are
 * then added in with their multiplicities, as two 32-bit halves each. That is some fifty times faster than a bigint a word.
 */
export class Fletcher4 {
  #aLow = 0
  #aHigh = 0
  #bLow = 0
  #bHigh = 0
  #cLow = 0
  #cHigh = 0
  #dLow = 0
  #dHigh = 0
  /** A word of which not all bytes have come. */
  readonly #partial = new DataView(new ArrayBuffer(wordBytes))
  #partialBytes = 0

  reset(): void {
    this.#aLow = this.#aHigh = this.#bLow = this.#bHigh = 0
    this.#cLow = this.#cHigh = this.#dLow = this.#dHigh = 0
    this.#partialBytes = 0
  }

  /** Takes in bytes whose words are of that byte order. Bytes that are no whole word at the end of all count for nothing. */
  update(bytes: Uint8Array, little: boolean): void {
    let at = 0
    while (this.#partialBytes > 0 && at < bytes.length) {
      this.#partial.setUint8(this.#partialBytes++, bytes[at++] as number)
      if (this.#partialBytes === wordBytes) {
        this.#words(this.#partial, 0, 1, little)
        this.#partialBytes = 0
      }
    }
    const count = Math.floor((bytes.length - at) / wordBytes)
    if (count > 0) this.#words(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at, count, little)
    for (at += count * wordBytes; at < bytes.length; ) {
      this.#partial.setUint8(this.#partialBytes++, bytes[at++] as number)
    }
  }

  #words(view: DataView, start: number, count: number, little: boolean): void {
    let at = start
    for (let left = count; left > 0; left -= blockWords) {
      const words = Math.min(left, blockWords)
      const end = at + words * wordBytes
      let a = 0
      let b = 0
      let c = 0
      let d = 0
      for (; at < end; at += wordBytes) {
        a += view.getUint32(at, little)
        b += a
        c += b
        d += c
      }
      this.#add(words, a, b, c, d)
    }
  }

  /** Goes on from the sums so far by a block: each higher sum has taken in the lower ones once a word. */
  #add(n: number, a: number, b: number, c: number, d: number): void {
    const n2 = (n * (n + 1)) / 2
    const n3 = (n2 * (n + 2)) / 3
    const dOver = over(d)
    const cOver = over(c)
    const bOver = over(b)
    const dLow = this.#dLow + n * this.#cLow + n2 * this.#bLow + n3 * this.#aLow + (d - dOver * twoTo32)
    const cLow = this.#cLow + n * this.#bLow + n2 * this.#aLow + (c - cOver * twoTo32)
    const bLow = this.#bLow + n * this.#aLow + (b - bOver * twoTo32)
    const aLow = this.#aLow + a
    this.#dHigh = low(this.#dHigh + n * this.#cHigh + n2 * this.#bHigh + n3 * this.#aHigh + dOver + over(dLow))
    this.#cHigh = low(this.#cHigh + n * this.#bHigh + n2 * this.#aHigh + cOver + over(cLow))
    this.#bHigh = low(this.#bHigh + n * this.#aHigh + bOver + over(bLow))
    this.#aHigh = low(this.#aHigh + over(aLow))
    this.#dLow = low(dLow)
    this.#cLow = low(cLow)
    this.#bLow = low(bLow)
    this.#aLow = low(aLow)
  }

  /** Whether the four uint64s at that offset of a record are the sums so far. */
  equals(view: DataView, offset: number, little: boolean): boolean {
    const low = little ? offset : offset + 4
    const high = little ? offset + 4 : offset
    return (
      view.getUint32(low, little) === this.#aLow &&
      view.getUint32(high, little) === this.#aHigh &&
      view.getUint32(low + 8, little) === this.#bLow &&
      view.getUint32(high + 8, little) === this.#bHigh &&
      view.getUint32(low + 16, little) === this.#cLow &&
      view.getUint32(high + 16, little) === this.#cHigh &&
      view.getUint32(low + 24, little) === this.#dLow &&
      view.getUint32(high + 24, little) === this.#dHigh
    )
  }

  /** The sums so far: a, b, c, d. */
  get words(): [bigint, bigint, bigint, bigint] {
    return [
      uint64(this.#aHigh, this.#aLow),
      uint64(this.#bHigh, this.#bLow),
      uint64(this.#cHigh, this.#cLow),
      uint64(this.#dHigh, this.#dLow),
    ]
  }
}

const over = (value: number): number => Math.floor(value / twoTo32)
/** The rest. Asking for it with % would take longer than summing up the block. */
const low = (value: number): number => value - over(value) * twoTo32
const uint64 = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low)
