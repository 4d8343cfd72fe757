/** `flocker-zfs deploy`: a cluster becomes as a file describes it. */
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import {
  type ActionOutcome,
  type ClusterDescription,
  type DeployResult,
  formatAction,
  formatDeployment,
  readCompose,
} from '../containers/index.js'
import { ArgumentError, FlockerError } from '../errors.js'
import { openHost } from '../host.js'
import { bigintAsText } from './json.js'
import { collect, type HostFlags, hostOptions, parseCount, withHostFlags } from './options.js'
import { interruptible } from './session.js'

interface DeployFlags extends HostFlags {
  peer?: string[]
  engine?: string | true
  dryRun?: boolean
  removeOthers?: boolean
  image?: 'stream' | 'pull' | 'require'
  readySeconds?: number
  json?: boolean
}

export function deployCommand(): Command {
  return withHostFlags(new Command('deploy'))
    .description('Start, move, resize and replace applications of the cluster, so that all is as a file describes it')
    .argument('<file>', 'a Compose file with x-flocker; or JSON, if it ends in .json')
    .option('--peer <host>', 'the agent of a host of the cluster, HOST or HOST:PORT; all of them are needed', collect)
    .option('--engine [socket]', 'the container engine of this host, if no agent of it is among the peers')
    .option('--dry-run', 'only say what would be done')
    .option('--remove-others', 'remove applications that are not in the file; their volumes stay')
    .addOption(
      new Option('--image <how>', 'where a host lacks an image (default: stream)').choices([
        'stream',
        'pull',
        'require',
      ]),
    )
    .option('--ready-seconds <seconds>', 'how long an application may take to be ready (default: 60)', parseCount)
    .option('--json', 'print JSON')
    .action(run)
}

async function run(file: string, flags: DeployFlags): Promise<void> {
  const { peer: peers = [], engine, dryRun = false, removeOthers = false, image, readySeconds, json = false } = flags
  const cluster = await readCluster(file)
  await interruptible(async (signal) => {
    await using host = await openHost({ ...hostOptions(flags), peers, ...(engine === undefined ? {} : { engine }) })
    const result = await host.deploy(cluster, {
      signal,
      dryRun,
      removeOthers,
      image,
      readyMilliseconds: readySeconds === undefined ? undefined : readySeconds * 1000,
      onPlan: (plan) => (json ? undefined : void process.stdout.write(formatDeployment(plan))),
      onAction: (outcome) => (json ? undefined : console.log(outcomeLine(outcome))),
    })
    if (json) console.log(asJson(result))
    // A plan that is only shown has not failed, unless it says that something can't be done.
    const good = dryRun ? result.plan.blocked.length === 0 : result.converged
    if (!good) process.exitCode = 1
  })
}

async function readCluster(file: string): Promise<ClusterDescription> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new ArgumentError(`${file} can't be read: ${cause.message}`, { cause })
  })
  if (!file.endsWith('.json')) return readCompose(text, { environment: process.env, file })
  try {
    return JSON.parse(text) as ClusterDescription
  } catch (cause) {
    throw new ArgumentError(`${file} is not JSON: ${(cause as Error).message}`, { cause })
  }
}

function outcomeLine({ action, state, milliseconds, error }: ActionOutcome): string {
  const code = error instanceof FlockerError ? ` [${error.code}]` : ''
  const why = error === undefined ? '' : `\n  ${error.message}${code}`
  const time = state === 'skipped' ? '' : ` (${(milliseconds / 1000).toFixed(1)} s)`
  return `${state.padEnd(7)} ${formatAction(action)}${time}${why}`
}

function asJson({ plan, actions, converged }: DeployResult): string {
  const told = actions.map(({ error, ...rest }) => ({ ...rest, ...(error === undefined ? {} : describe(error)) }))
  return JSON.stringify({ plan, actions: told, converged }, bigintAsText)
}

function describe(error: Error): { error: { code?: string; message: string } } {
  return { error: { ...(error instanceof FlockerError ? { code: error.code } : {}), message: error.message } }
}
