import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { pino } from 'pino'
import { z } from 'zod'
import { ArgumentError } from '../errors.js'
import { defaultPort, openHost } from '../host.js'
import { type Rule, VERBS } from '../transport/index.js'
import { type HostFlags, hostOptions, parsePort, withHostFlags } from './options.js'

interface AgentFlags extends HostFlags {
  port: number
  address?: string
  authorize: string
}

const rulesFile = z.array(
  z.strictObject({
    peer: z.string(),
    verbs: z.array(z.enum(VERBS)),
    datasets: z.array(z.string()),
    properties: z.array(z.string()).optional(),
  }),
)

/** `flocker-zfs agent`: serves peers until SIGINT or SIGTERM, logging JSON lines to standard output. */
export function agentCommand(): Command {
  return withHostFlags(new Command('agent'))
    .description('Serve other hosts: receive the volumes they push, send those they pull')
    .requiredOption(
      '--authorize <file>',
      'JSON: [{ "peer": NAME, "verbs": ["inspect", "receive", "send"], "datasets": ["POOL/flocker/**"] }]',
    )
    .option('--port <number>', 'port to listen on', parsePort, defaultPort)
    .option('--address <address>', 'address to listen on (default: all)')
    .action(serve)
}

async function serve(flags: AgentFlags): Promise<void> {
  const authorize = await readRules(flags.authorize)
  const logger = pino({ name: 'flocker-zfs' })
  await using host = await openHost({ ...hostOptions(flags), logger })
  const { port, address } = flags
  const server = await host.listen({ port, authorize, ...(address === undefined ? {} : { address }) })
  logger.info({ port: server.port, identity: host.identity, root: host.root, zfs: host.zfsVersion }, 'listening')
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  logger.info('closing')
}

async function readRules(file: string): Promise<Rule[]> {
  try {
    return rulesFile.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message
    throw new ArgumentError(`${file} does not hold authorisation rules: ${why}`, { cause })
  }
}
