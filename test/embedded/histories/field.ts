/** Two hosts with pools in files, in this process, and the ways between them. Histories run on them side by side. */
import { join } from 'node:path'
import { type Host, openHost, type Peer } from '../../../src/index.js'
import { VERBS } from '../../../src/transport/index.js'
import { equip } from '../cluster.js'
import { Link as Wire } from '../faults/link.js'

export const sides = ['alpha', 'beta'] as const
export type Side = (typeof sides)[number]
export const otherOf = (side: Side): Side => (side === 'alpha' ? 'beta' : 'alpha')

/** A connection that one host has made to the other, over a wire that can be cut. */
export interface Link {
  peer: Peer
  wire: Wire
}

export class Field implements AsyncDisposable {
  private constructor(
    readonly hosts: Readonly<Record<Side, Host>>,
    private readonly ports: Readonly<Record<Side, number>>,
  ) {}

  static async open(directory: string): Promise<Field> {
    await equip(directory)
    const open = async (side: Side): Promise<Host> => {
      const host = await openHost({
        embedded: join(directory, side[0] as string),
        root: side,
        credentials: join(directory, side),
      })
      return host
    }
    const hosts = { alpha: await open('alpha'), beta: await open('beta') }
    const listen = async (side: Side): Promise<number> => {
      const authorize = [{ peer: otherOf(side), verbs: [...VERBS], datasets: [`${side}/**`] }]
      return (await hosts[side].listen({ port: 0, address: '127.0.0.1', authorize })).port
    }
    return new Field(hosts, { alpha: await listen('alpha'), beta: await listen('beta') })
  }

  /** The way from one host to the other. */
  async dial(side: Side): Promise<Link> {
    const wire = await Wire.listen(this.ports[otherOf(side)])
    return { wire, peer: await this.hosts[side].connect(`127.0.0.1:${wire.port}`) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of sides) await this.hosts[side].close()
  }
}

/** Where one history at a time runs: links of its own, which it may cut. */
export class Lane implements AsyncDisposable {
  /** The name of what the present history has for itself below the root of either host. */
  place = ''

  private constructor(
    readonly field: Field,
    readonly links: Readonly<Record<Side, Link>>,
  ) {}

  static async open(field: Field): Promise<Lane> {
    return new Lane(field, { alpha: await field.dial('alpha'), beta: await field.dial('beta') })
  }

  /**
   * Resolves when neither host is at work on anything of the present history: one that has lost its peer ends a moment later what it had
   * begun for it, a receive or the move of a cursor.
   */
  async settled(): Promise<void> {
    for (const side of sides) {
      const { claims } = this.field.hosts[side].local
      for (const work of ['receive', 'serve']) await claims.settledWithin(`${work} ${side}/${this.place}/`, 30_000)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of sides) {
      await this.links[side].peer.close()
      await this.links[side].wire[Symbol.asyncDispose]()
    }
  }
}
