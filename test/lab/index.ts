/**
 * The lab: real hosts with real OpenZFS, on a machine that has none.
 *
 *     this Node.js process                         outside, an ordinary user's processes
 *    ┌──────────────────────┐   lines    ┌────────────────────────────────────────────────┐
 *    │ openLab()            │───────────>│ switch: forwards frames; cuts, delays, garbles  │
 *    │                      │            └──▲──────────────────────────▲──────────────────┘
 *    │  lab.link('alpha') ──┤               │ cable: one packet        │
 *    │                      │               │ is one Ethernet frame    │
 *    │                      │  pipe    ┌────┴─────────┐          ┌─────┴────────┐
 *    │  lab.host('alpha') ──┼─────────>│ power alpha  │          │ power beta   │   pipe closed = plug pulled
 *    │                      │  serial  │ ┌──────────┐ │          │ ┌──────────┐ │
 *    │    .run(['zpool'..]) ┼──────────┼>│  guest   │ │          │ │  guest   │ │   User-Mode Linux: a kernel as a process
 *    └──────────────────────┘  line    │ │ agent=1  │ │          │ │ agent=1  │ │   PID 1 runs what run() sends
 *                                      │ └────┬─────┘ │          │ └────┬─────┘ │
 *                                      └──────┼───────┘          └──────┼───────┘
 *                                        disk images               disk images      sparse files: /dev/ubda, ...
 *
 * A guest's root is an overlay: what it writes goes to its memory, what it reads comes from the outside's own root (so Node.js
 * and this checkout are at their usual paths), with the profile's ZFS tools laid between. Its disks are all that survives
 * {@link Host.cutPower}. Nothing is mounted outside, no privilege is needed and the outside's network is not touched.
 *
 * Whatever ends this process, even SIGKILL, closes its pipes: then the power supplies kill their guests, and the switch removes
 * the lab's directory.
 *
 * @module
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArgumentError, NotSupportedError, throwIfAborted } from '../../src/errors.js'
import { AgentHost } from './agent-host.js'
import { ensureEngines, loadProfile, type Profile, type ProfileName } from './build/index.js'
import type { Host, Link } from './host.js'
import { LocalMachine, prepareLocal } from './local.js'
import type { HostPlan, Machine } from './machine.js'
import { parseSize } from './size.js'
import { Switch } from './switch.js'
import { prepareTools } from './tools.js'
import { UmlMachine } from './uml.js'

export type { ProfileName } from './build/index.js'
export { LabCommandError, LabError } from './errors.js'
export type * from './host.js'

export interface HostOptions {
  /** Letters, digits and hyphens; the other hosts know it by this name. */
  name: string
  /** Its kernel and OpenZFS: `newest` (the default) is Linux 7.2 with ZFS 2.4, `oldest` Linux 6.1 with ZFS 2.1. */
  profile?: ProfileName
  /** Sizes of its disks, as bytes or as `2 GiB`; default one of 2 GiB. They are sparse. */
  disks?: readonly (number | string)[]
  /** Default 1 GiB; taken from the outside only as it is used. */
  memory?: number | string
  /**
   * Gives it Docker, Podman and PostgreSQL, see engines/index.ts; the first lab that asks downloads them. Default: no. This machine itself
   * gets nothing.
   */
  engines?: boolean
}

export interface LabOptions {
  hosts: readonly HostOptions[]
  /** Ends the opening; it has no effect on an open lab. */
  signal?: AbortSignal
  /** Default: 60 s for the newest profile, 120 s for the oldest; on an idle machine each takes about half a second. */
  bootTimeoutMilliseconds?: number
  /**
   * Uses this very machine, which needs ZFS and root, instead of User-Mode Linux; see local.ts for what that can't do. Default: whether
   * the environment has FLOCKER_ZFS_LAB=local.
   */
  local?: boolean
}

const DEFAULT_BOOT_MILLISECONDS: Record<ProfileName, number> = { newest: 60_000, oldest: 120_000 }
const MAX_HOSTS = 64
const LONGEST_BASE = 70
const MAX_DISKS = 8

/** Hosts on a switch. Dispose of it (`await using`) to end them. */
export class Lab {
  readonly hosts: readonly Host[]
  readonly #hosts: readonly AgentHost[]
  readonly #local: boolean
  /** Disks and console logs; gone when the lab is. */
  readonly directory: string
  readonly #switch: Switch

  /** @internal Use {@link openLab}. */
  constructor(hosts: readonly AgentHost[], theSwitch: Switch, directory: string, local: boolean) {
    this.hosts = hosts
    this.#hosts = hosts
    this.#local = local
    this.directory = directory
    this.#switch = theSwitch
  }

  host(name: string): Host {
    const host = this.hosts.find((candidate) => candidate.name === name)
    if (host === undefined) throw new ArgumentError(`the lab has no host ${name}`)
    return host
  }

  /** The cable of that host. */
  link(name: string): Link {
    if (this.#local) throw new NotSupportedError('hosts on this machine itself have no cables')
    return this.#switch.link(this.host(name).name)
  }

  /** Cuts every host's power and removes all files of the lab. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ends = await Promise.allSettled(this.#hosts.map((host) => host.close()))
    await this.#switch.close()
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}

/**
 * Boots hosts, all at a time.
 * @throws ArgumentError, `LabError`, a `TimeoutError` where a boot takes too long; nothing is left running then
 */
export async function openLab(options: LabOptions): Promise<Lab> {
  checkHosts(options.hosts)
  throwIfAborted(options.signal, 'opening the lab')
  const local = options.local ?? process.env.FLOCKER_ZFS_LAB === 'local'
  if (local) await prepareLocal()
  const tools = await prepareTools()
  const profiles = local ? [] : await Promise.all(options.hosts.map((host) => loadProfile(host.profile ?? 'newest')))
  const engines = local || !options.hosts.some((host) => host.engines) ? undefined : await ensureEngines(options)
  const directory = await makeDirectory()
  const theSwitch = await startSwitch(tools.switch, directory)
  const hosts: AgentHost[] = []
  const lab = new Lab(hosts, theSwitch, directory, local)
  try {
    for (const [index, host] of options.hosts.entries()) {
      const plan: HostPlan = {
        name: host.name,
        number: index + 1,
        memoryBytes: parseSize(host.memory ?? '1 GiB'),
        diskImages: await createDisks(directory, host),
        layers: host.engines && engines !== undefined ? [engines.layer] : [],
        tools,
        directory: join(directory, host.name),
        switchSocket: join(directory, 'switch'),
        names: options.hosts.map(({ name }) => name),
        bootTimeoutMilliseconds: options.bootTimeoutMilliseconds ?? DEFAULT_BOOT_MILLISECONDS[host.profile ?? 'newest'],
      }
      hosts.push(new AgentHost(machineFor(plan, profiles[index])))
    }
    const boots = await Promise.allSettled(
      hosts.map((host) => host.boot(options.signal === undefined ? {} : { signal: options.signal })),
    )
    for (const boot of boots) if (boot.status === 'rejected') throw boot.reason
    return lab
  } catch (error) {
    await lab[Symbol.asyncDispose]()
    throw error
  }
}

/** From then on the switch removes the directory. */
async function startSwitch(program: string, directory: string): Promise<Switch> {
  try {
    return await Switch.start(program, directory)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

function machineFor(plan: HostPlan, profile: Profile | undefined): Machine {
  return profile === undefined ? new LocalMachine(plan) : new UmlMachine(plan, profile)
}

/** The lab's directory; the switch's socket must fit into a socket address (unix(7)), wherever TMPDIR is. */
async function makeDirectory(): Promise<string> {
  const base = tmpdir().length > LONGEST_BASE ? '/tmp' : tmpdir()
  return mkdtemp(join(base, 'flocker-zfs-lab-'))
}

function checkHosts(hosts: readonly HostOptions[]): void {
  if (hosts.length === 0 || hosts.length > MAX_HOSTS)
    throw new ArgumentError(`a lab has 1 to ${MAX_HOSTS} hosts, not ${hosts.length}`)
  for (const { name, disks = [], memory } of hosts) {
    if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) throw new ArgumentError(`not a host's name: ${JSON.stringify(name)}`)
    for (const size of memory === undefined ? disks : [...disks, memory]) parseSize(size)
    if (disks.length > MAX_DISKS) throw new ArgumentError(`${name} has more than ${MAX_DISKS} disks`)
  }
  if (new Set(hosts.map((host) => host.name)).size !== hosts.length)
    throw new ArgumentError('two hosts have the same name')
}

async function createDisks(directory: string, host: HostOptions): Promise<string[]> {
  const images: string[] = []
  for (const [index, size] of (host.disks ?? ['2 GiB']).entries()) {
    const image = join(directory, `${host.name}-${index}.img`)
    const file = await open(image, 'wx')
    await file.truncate(parseSize(size)).finally(() => file.close())
    images.push(image)
  }
  return images
}
