/** Streams as a machine of the other byte order would send them. */
import { recordsOf } from './streams.js'

/** The numbers of each record type: where those of 8 bytes and of 4 are. After byteswap_record in module/zfs/dmu_recv.c. */
const fields: Readonly<Record<number, { long: number[]; short: number[] }>> = {
  0: { long: [8, 16, 24, 40, 48], short: [32, 36] },
  1: { long: [8, 40, 48], short: [16, 20, 24, 28, 36] },
  2: { long: [8, 16, 24], short: [] },
  3: { long: [8, 24, 32, 40, 56, 64, 72, 80, 88, 96], short: [16] },
  4: { long: [8, 16, 24, 32], short: [] },
  5: { long: [8, 16, 24, 32, 40], short: [] },
}
const checksumAt = 280
const endChecksumAt = 8

/** fletcher4 over a stream, as the machine that sends it reads it: here, in big-endian words of 4 bytes. */
class Checksum {
  readonly #sums: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n]

  add(bytes: Buffer): void {
    let [a, b, c, d] = this.#sums
    for (let at = 0; at < bytes.length; at += 4) {
      a += BigInt(bytes.readUInt32BE(at))
      b += a
      c += b
      d += c
    }
    for (const [index, sum] of [a, b, c, d].entries()) this.#sums[index as 0] = BigInt.asUintN(64, sum)
  }

  put(target: Buffer, at: number): void {
    for (const [index, sum] of this.#sums.entries()) target.writeBigUInt64BE(sum, at + index * 8)
  }
}

/** A full stream of a small volume, neither raw nor compressed, in the other byte order. */
export function inOtherOrder(stream: Buffer): Buffer {
  const checksum = new Checksum()
  const parts: Buffer[] = []
  for (const { type, header, payload } of recordsOf(stream)) {
    const [swapped, content] = [Buffer.from(header), Buffer.from(payload)]
    swapNumbers(swapped, type)
    // Of a volume's two objects the second holds names and numbers, the first only bytes.
    if (type === 3 && header.readBigUInt64LE(8) === 2n) swapMicrozap(content)
    if (type === 5) checksum.put(swapped, endChecksumAt)
    checksum.add(swapped.subarray(0, checksumAt))
    if (type !== 0) checksum.put(swapped, checksumAt)
    checksum.add(swapped.subarray(checksumAt))
    checksum.add(content)
    parts.push(swapped, content)
  }
  return Buffer.concat(parts)
}

function swapNumbers(header: Buffer, type: number): void {
  const { long, short } = fields[type] ?? { long: [], short: [] }
  for (const at of long) header.subarray(at, at + 8).reverse()
  for (const at of [0, 4, ...short]) header.subarray(at, at + 4).reverse()
}

/** mzap_phys_t: a header of eight numbers, then entries of 64 bytes, each a number of 8, one of 4 and one of 2 bytes and a name. */
function swapMicrozap(block: Buffer): void {
  for (let at = 0; at < 64; at += 8) block.subarray(at, at + 8).reverse()
  for (let at = 64; at < block.length; at += 64) {
    block.subarray(at, at + 8).reverse()
    block.subarray(at + 8, at + 12).reverse()
    block.subarray(at + 12, at + 14).reverse()
  }
}
