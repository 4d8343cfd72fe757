import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { pino } from 'pino'
import { ArgumentError } from '../errors.js'
import { defaultPort, openHost } from '../host.js'
import { openBuiltInRouter, openHaproxyRouter, type Router } from '../routing/index.js'
import { parseRules, type Rule } from '../transport/index.js'
import { collect, type HostFlags, hostOptions, parsePort, withHostFlags } from './options.js'

interface AgentFlags extends HostFlags {
  port: number
  address?: string
  authorize: string
  peer?: string[]
  engine?: string | true
  router?: string | true
  advertise?: string
}

/** `flocker-zfs agent`: serves peers until SIGINT or SIGTERM, logging JSON lines to standard output. */
export function agentCommand(): Command {
  return withHostFlags(new Command('agent'))
    .description(
      'Serve the volumes of this host, and other hosts: receive what they push, send what they pull, hand over',
    )
    .requiredOption(
      '--authorize <file>',
      'JSON: [{ "peer": NAME, "verbs": ["inspect", "receive", "send"], "datasets": ["POOL/flocker/**"] }]',
    )
    .option('--port <number>', 'port to listen on', parsePort, defaultPort)
    .option('--address <address>', 'address to listen on (default: all)')
    .option('--peer <host>', 'another host of the cluster, HOST or HOST:PORT; repeat for more', collect)
    .option('--engine [socket]', 'keep applications running in containers (default: /var/run/docker.sock)')
    .option(
      '--router [directory]',
      'lead clients of applications to the hosts that run them; by HAProxy, in that directory',
    )
    .option(
      '--advertise <address>',
      "where other hosts reach what runs here (default: the certificate's first address)",
    )
    .action(serve)
}

async function serve(flags: AgentFlags): Promise<void> {
  const authorize = await readRules(flags.authorize)
  const logger = pino({ name: 'flocker-zfs' })
  const { port, address, peer: peers = [] } = flags
  const { engine, advertise } = flags
  const router = await openRouter(flags.router)
  await using host = await openHost({
    ...hostOptions(flags),
    logger,
    peers,
    recovery: 'background',
    ...(engine === undefined ? {} : { engine }),
    ...(router === undefined ? {} : { router }),
    ...(advertise === undefined ? {} : { address: advertise }),
  })
  const server = await host.listen({ port, authorize, ...(address === undefined ? {} : { address }) })
  logger.info({ port: server.port, identity: host.identity, root: host.root, zfs: host.zfsVersion }, 'listening')
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  logger.info('closing')
}

async function openRouter(directory: AgentFlags['router']): Promise<Router | undefined> {
  if (directory === undefined) return undefined
  return directory === true ? openBuiltInRouter() : openHaproxyRouter({ directory })
}

async function readRules(file: string): Promise<Rule[]> {
  try {
    return parseRules(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new ArgumentError(`${file} does not hold authorisation rules: ${(cause as Error).message}`, { cause })
  }
}
