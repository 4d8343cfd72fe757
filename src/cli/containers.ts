/** `flocker-zfs containers`: the applications of this host. */
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { type Application, type ContainerInfo, parseApplication } from '../containers/index.js'
import { ArgumentError } from '../errors.js'
import { type Host, openHost } from '../host.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, withHostFlags } from './options.js'

interface ContainersFlags extends HostFlags {
  engine?: string
  json?: boolean
}

export function containersCommand(): Command {
  const command = new Command('containers').description('List, start, stop and remove applications of this host')
  command.addCommand(
    withEngineFlags('list', 'List the containers of this host, those that have ended too')
      .option('--json', 'print JSON')
      .action((flags: ContainersFlags) =>
        withHost(flags, async (host) => print(await host.listContainers(), flags.json === true)),
      ),
    { isDefault: true },
  )
  command.addCommand(
    withEngineFlags('start', 'Start an application, whose volume this host must own; wait until it is ready')
      .argument('<file>', 'its description, as JSON')
      .option('--pull', 'fetch the image from its registry where it is missing')
      .option('--replace', 'stop the one that runs with another description')
      .action(start),
  )
  command.addCommand(
    withEngineFlags('stop', 'Stop an application; it stays stopped')
      .argument('<name>', 'of the application')
      .action((name: string, flags: ContainersFlags) =>
        withHost(flags, async (host) => void (await host.stopContainer(name))),
      ),
  )
  return command.addCommand(
    withEngineFlags('remove', 'Remove an application; its volume stays')
      .argument('<name>', 'of the application')
      .option('--stop', 'stop it first')
      .action((name: string, flags: ContainersFlags & { stop?: boolean }) =>
        withHost(flags, (host) => host.removeContainer(name, { stop: flags.stop === true })),
      ),
  )
}

function withEngineFlags(name: string, description: string): Command {
  return withHostFlags(new Command(name))
    .description(description)
    .option('--engine <socket>', "the container engine's socket (default: /var/run/docker.sock)")
}

async function withHost(flags: ContainersFlags, use: (host: Host) => Promise<void>): Promise<void> {
  await using host = await openHost({ ...hostOptions(flags), engine: flags.engine ?? true })
  await use(host)
}

async function start(
  file: string,
  { pull = false, replace = false, ...flags }: ContainersFlags & { pull?: boolean; replace?: boolean },
): Promise<void> {
  const application = await readApplicationFile(file)
  await withHost(flags, async (host) => {
    await host.startContainer(application, { pull, replace })
    await host.waitReady(application.name)
    print([await host.inspectContainer(application.name)], false)
  })
}

async function readApplicationFile(file: string): Promise<Application> {
  try {
    return parseApplication(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new ArgumentError(`${file} does not describe an application: ${(cause as Error).message}`, { cause })
  }
}

function print(containers: readonly ContainerInfo[], json: boolean): void {
  console.log(json ? JSON.stringify(containers, bigintAsText) : containers.map(line).join('\n') || 'No containers.')
}

function line({ name, state, exitStatus, application }: ContainerInfo): string {
  const ended = exitStatus === undefined ? '' : ` with status ${exitStatus}`
  const volumes = (application.volumes ?? []).map(({ volume }) => volume)
  return [name, `${state}${ended}`, application.image, ...volumes].join('  ')
}
