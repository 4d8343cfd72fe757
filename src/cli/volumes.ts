/** `flocker-zfs volumes`: the volumes of this host. */
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { type Host, openHost } from '../host.js'
import { formatBytes } from '../replication/index.js'
import type { VolumeInfo } from '../volumes/index.js'
import { bigintAsText } from './json.js'
import { collect, type HostFlags, hostOptions, withHostFlags } from './options.js'

interface VolumesFlags extends HostFlags {
  json?: boolean
}

interface CreateFlags extends HostFlags {
  size?: string
  quota?: string
  metadata?: string[]
}

interface DestroyFlags extends HostFlags {
  replica?: boolean
  forget?: string[]
}

export function volumesCommand(): Command {
  const command = new Command('volumes').description('List, make, resize, clone and destroy volumes of this host')
  command.addCommand(
    withHostFlags(new Command('list'))
      .description('List the volumes of this host, its own and its replicas')
      .option('--json', 'print JSON')
      .action(list),
    { isDefault: true },
  )
  command.addCommand(
    withHostFlags(new Command('create'))
      .description('Make a volume that this host owns: a filesystem, or with --size a block volume')
      .argument('<volume>', 'name of the volume, below the root')
      .option('--size <size>', 'bytes, or such as 512M or 20G')
      .option('--quota <size>', 'the most that a filesystem may hold')
      .option('--metadata <name=value>', 'goes with the volume; repeat for more', collect)
      .action(create),
  )
  command.addCommand(
    withHostFlags(new Command('resize'))
      .description('Change how much a volume may hold')
      .argument('<volume>', 'name of the volume, below the root')
      .argument('<size>', "bytes, or such as 512M or 20G; 'none' takes a filesystem's limit away")
      .option('--shrink', 'a block volume may become smaller, which cuts its end off')
      .action((name: string, size: string, flags: HostFlags & { shrink?: boolean }) =>
        withHost(flags, (host) =>
          host.resizeVolume(name, size === 'none' ? undefined : size, { shrink: flags.shrink === true }),
        ),
      ),
  )
  command.addCommand(
    withHostFlags(new Command('clone'))
      .description("Make a new volume out of another's data, without copying it")
      .argument('<volume>', 'name of the volume, below the root')
      .argument('<new>', 'name of the new one')
      .option('--snapshot <name>', 'of this snapshot, in place of one that is taken now')
      .action((name: string, copy: string, flags: HostFlags & { snapshot?: string }) =>
        withHost(flags, async (host) => {
          const { snapshot } = flags
          await host.cloneVolume(name, copy, snapshot === undefined ? {} : { snapshot })
        }),
      ),
  )
  command.addCommand(
    withHostFlags(new Command('destroy'))
      .description('Destroy a volume on this host, with its snapshots')
      .argument('<volume>', 'name of the volume, below the root')
      .option('--replica', 'destroy it though another host owns it')
      .option('--forget <host>', 'give up what replication with this host holds of it; repeat for more', collect)
      .action((name: string, { replica = false, forget = [], ...flags }: DestroyFlags) =>
        withHost(flags, (host) => host.destroyVolume(name, { replica, forget })),
      ),
  )
  return command.addCommand(
    withHostFlags(new Command('serve'))
      .description(
        'Serve a volume that this host owns, though not all hosts that may have been promoted could be asked',
      )
      .argument('<volume>', 'name of the volume, below the root')
      .requiredOption('--unconfirmed', 'you know that none of them was promoted')
      .action((name: string, flags: HostFlags) =>
        withHost(flags, (host) => host.serveVolume(name, { unconfirmed: true })),
      ),
  )
}

async function withHost(flags: HostFlags, use: (host: Host) => Promise<void>): Promise<void> {
  await using host = await openHost(hostOptions(flags))
  await use(host)
}

async function list(flags: VolumesFlags): Promise<void> {
  await withHost(flags, async (host) => {
    const volumes = await host.listVolumes()
    console.log(flags.json ? JSON.stringify(volumes, bigintAsText) : volumes.map(line).join('\n') || 'No volumes.')
  })
}

function line({ name, owner, served, path, size, handoff, lease }: VolumeInfo): string {
  const parts = [
    name,
    served ? 'served' : handoff === undefined ? 'replica' : 'changing hands',
    `of ${owner.host}, epoch ${owner.epoch}`,
    ...(path === undefined ? [] : [path]),
    ...(size === undefined ? [] : [formatBytes(size)]),
    ...(lease === undefined ? [] : [`leased by ${lease.holder}`]),
  ]
  return parts.join('  ')
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const { size, quota, metadata = [] } = flags
  await withHost(flags, async (host) => {
    const volume = await host.createVolume(name, {
      metadata: Object.fromEntries(metadata.map(pair)),
      ...(size === undefined ? {} : { size }),
      ...(quota === undefined ? {} : { quota }),
    })
    console.log(volume.path ?? volume.dataset)
  })
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new ArgumentError(`--metadata is NAME=VALUE, not ${JSON.stringify(text)}`)
}
