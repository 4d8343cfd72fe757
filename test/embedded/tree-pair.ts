/** Two hosts in this process with a tree on either side of a link: what is on both can be looked at while they are at work. */
import type { Logger } from 'pino'
import { type Host, openHost, type Peer, type Rule } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { equip } from './cluster.js'
import { withDirectory } from './engine.js'
import { Link } from './faults/link.js'
import { source } from './trees.js'

export interface TreePair {
  alpha: Host
  beta: Host
  /** Alpha's, through the link. */
  peer: Peer
  link: Link
}

export interface TreePairOptions {
  /** What beta lets alpha do with all below its root. */
  rules?: Rule[]
  loggers?: { alpha: Logger; beta: Logger }
}

const everything: Rule[] = [{ peer: 'alpha', verbs: ['inspect', 'receive', 'send'], datasets: ['beta/flocker/**'] }]

export async function withTreePair(
  { rules = everything, loggers }: TreePairOptions,
  use: (pair: TreePair) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    await equip(directory)
    const open = (pool: 'alpha' | 'beta'): Promise<Host> => {
      const logger = loggers === undefined ? {} : { logger: loggers[pool] }
      return openHost({ embedded: `${directory}/${pool}-pool`, pool, credentials: `${directory}/${pool}`, ...logger })
    }
    await using alpha = await open('alpha')
    await using beta = await open('beta')
    for (const { root } of [alpha, beta]) await lzc.create(root, { properties: { canmount: 'off' } })
    await lzc.create(source)
    const server = await beta.listen({ port: 0, address: '127.0.0.1', authorize: rules })
    await using link = await Link.listen(server.port)
    await using peer = await alpha.connect(`127.0.0.1:${link.port}`)
    await use({ alpha, beta, peer, link })
  })
}
