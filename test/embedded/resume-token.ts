/** A resume token read in a way of its own, so that the engine is not tested with what it is used by. Layout: dsl_dataset.c. */
import { inflateSync } from 'node:zlib'

const UINT64 = 8
const STRING = 9

export class ResumeToken {
  readonly #values = new Map<string, string | bigint>()

  constructor(token: string) {
    const [version, , , packed] = token.split('-')
    if (version !== '1' || packed === undefined) throw new Error(`not a resume token: ${token}`)
    const list = inflateSync(Buffer.from(packed, 'hex'))
    for (let at = 12; list.readInt32LE(at) !== 0; at += list.readInt32LE(at)) {
      const nameSize = list.readInt16LE(at + 4)
      const type = list.readInt32LE(at + 12)
      const value = at + ((16 + nameSize + 7) & ~7)
      const name = list.toString('utf8', at + 16, at + 15 + nameSize)
      if (type === UINT64) this.#values.set(name, list.readBigUInt64LE(value))
      if (type === STRING) this.#values.set(name, list.toString('utf8', value, list.indexOf(0, value)))
    }
  }

  get toname(): string {
    return String(this.#values.get('toname'))
  }
  get object(): string {
    return String(this.#values.get('object'))
  }
  get offset(): string {
    return String(this.#values.get('offset'))
  }
  get bytes(): number {
    return Number(this.#values.get('bytes'))
  }
}
