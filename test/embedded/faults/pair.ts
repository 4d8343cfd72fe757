/** Alpha, beta and the wire between them: what faults happen to, and what recovers from them. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../../../src/index.js'
import { HostProcess } from './host-process.js'
import { type Direction, Link } from './link.js'
import type { Ends } from './look.js'
import type { Ended, Operation, RunOptions, Side } from './operations.js'

const sides = ['alpha', 'beta'] as const

export class Pair implements AsyncDisposable {
  readonly #hosts: Record<Side, HostProcess>
  #full: Side | undefined

  private constructor(
    private readonly directory: string,
    readonly link: Link,
    hosts: Record<Side, HostProcess>,
  ) {
    this.#hosts = hosts
  }

  static async open(directory: string): Promise<Pair> {
    await createCa(join(directory, 'ca'))
    for (const identity of sides) {
      await mkdir(join(directory, identity))
      const host = { identity, addresses: ['127.0.0.1'] }
      await createHostCertificate(join(directory, 'ca'), join(directory, `${identity}-credentials`), host)
    }
    const [alpha, beta] = await Promise.all(sides.map((side) => HostProcess.start(directory, side)))
    const hosts = { alpha: alpha as HostProcess, beta: beta as HostProcess }
    return new Pair(directory, await Link.listen(hosts.beta.port), hosts)
  }

  host(side: Side): HostProcess {
    return this.#hosts[side]
  }

  /** Alpha runs an operation, over the wire to beta. */
  run({ name }: Operation, volume: string, options: RunOptions = {}): Promise<Ended> {
    return this.host('alpha').ask('run', this.link.port, name, volume, options)
  }

  /** Fills the pool of one of them, until {@link recover}. */
  async fill(side: Side): Promise<void> {
    this.#full = side
    await this.host(side).fill()
  }

  /** Everything is as it should be again: the wire is whole, there is room, and whose power was cut has started again. */
  async recover(): Promise<void> {
    this.link.mend()
    for (const side of sides) {
      if (this.host(side).alive) continue
      this.#hosts[side] = await HostProcess.start(this.directory, side)
      if (side === 'beta') this.link.target = this.host(side).port
    }
    if (this.#full !== undefined) await this.host(this.#full).ask('fill', false)
    this.#full = undefined
  }

  /** What both have of a volume. */
  async look({ source }: Operation, volume: string): Promise<Ends> {
    const destination = otherSide(source)
    const [ours, theirs] = await Promise.all([source, destination].map((side) => this.host(side).ask('look', volume)))
    return {
      source: { identity: source, found: ours ?? [] },
      replica: { identity: destination, found: theirs ?? [] },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(sides.map((side) => this.host(side)[Symbol.asyncDispose]()))
    await this.link[Symbol.asyncDispose]()
  }
}

export const otherSide = (side: Side): Side => (side === 'alpha' ? 'beta' : 'alpha')

/** Which way the data of an operation goes. */
export const directionOf = ({ source }: Operation): Direction => (source === 'alpha' ? 'there' : 'back')
