/** Two embedded hosts in this process, each serving the other. */
import { join } from 'node:path'
import { createCa, createHostCertificate, type Host, type HostOptions, openHost, type Peer } from '../../src/index.js'
import { VERBS, type Verb } from '../../src/transport/index.js'

const other = { alpha: 'beta', beta: 'alpha' } as const
type Name = keyof typeof other

export interface TwoHostsOptions extends Partial<HostOptions> {
  /** What each may do with the other. Default: everything. */
  verbs?: readonly Verb[]
}

export class TwoHosts implements AsyncDisposable {
  private constructor(
    private readonly directory: string,
    private readonly options: TwoHostsOptions,
    readonly hosts: Record<Name, Host>,
    private readonly peers: Record<Name, Peer>,
  ) {}

  /** Makes certificates and pools, opens both hosts, and connects them. */
  static async open(directory: string, options: TwoHostsOptions = {}): Promise<TwoHosts> {
    await createCa(join(directory, 'ca'))
    for (const identity of ['alpha', 'beta'] as const) {
      const host = { identity, addresses: ['127.0.0.1'] }
      await createHostCertificate(join(directory, 'ca'), join(directory, `${identity}-credentials`), host)
    }
    return TwoHosts.reopen(directory, options)
  }

  private static async reopen(directory: string, options: TwoHostsOptions): Promise<TwoHosts> {
    const { verbs = VERBS, ...more } = options
    const open = (identity: Name): Promise<Host> =>
      openHost({
        embedded: join(directory, identity),
        pool: identity,
        credentials: join(directory, `${identity}-credentials`),
        ...more,
      })
    const hosts = { alpha: await open('alpha'), beta: await open('beta') }
    const listen = async (name: Name): Promise<number> => {
      const authorize = [{ peer: other[name], verbs, datasets: [`${hosts[name].root}/**`] }]
      return (await hosts[name].listen({ port: 0, address: '127.0.0.1', authorize })).port
    }
    const ports = { alpha: await listen('alpha'), beta: await listen('beta') }
    const connect = (from: Name): Promise<Peer> => hosts[from].connect(`127.0.0.1:${ports[other[from]]}`)
    return new TwoHosts(directory, options, hosts, {
      alpha: await connect('alpha'),
      beta: await connect('beta'),
    })
  }

  get alpha(): Host {
    return this.hosts.alpha
  }

  get beta(): Host {
    return this.hosts.beta
  }

  /** Beta, as alpha is connected with it. */
  get toBeta(): Peer {
    return this.peers.alpha
  }

  /** Alpha, as beta is. */
  get toAlpha(): Peer {
    return this.peers.beta
  }

  /** Closes both, and opens them again from their pools. */
  async restart(): Promise<TwoHosts> {
    await this[Symbol.asyncDispose]()
    return TwoHosts.reopen(this.directory, this.options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.peers).map((peer) => peer.close()))
    await Promise.all(Object.values(this.hosts).map((host) => host.close()))
  }
}
