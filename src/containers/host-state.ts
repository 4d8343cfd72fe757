/** What a host has, as a deployment has to know it. */
import { getProperties } from '../datasets/index.js'
import { ContainerError } from '../errors.js'
import { listOtherDatasets, listVolumes, type VolumeInfo } from '../volumes/index.js'
import type { ContainersHost } from './context.js'
import type { KnownHost, KnownVolume, RunningApplication } from './deployment.js'
import { type DesiredHere, readAllDesired } from './desired.js'
import type { Engine } from './engine.js'
import { type ContainerInfo, isAlive } from './info.js'
import { listContainers, listForeign } from './lifecycle.js'
import { isReady } from './probe.js'

/**
 * Tells of all applications, volumes and other containers of this host.
 * @throws ContainerError, ZfsError, FlockerError: then it can't be said what this host has, and nothing is said
 */
export async function readHostState(context: ContainersHost, signal: AbortSignal): Promise<KnownHost> {
  const volumes = await Promise.all((await listVolumes(context.host)).map(knownVolume))
  const desired = await readAllDesired(context.host, 'all')
  const owned = desired.filter((each) => each.owned)
  const { applications, foreign } = context.keeps ? await readContainers(context, owned, signal) : noContainers(owned)
  const others = await listOtherDatasets(context.host)
  return { host: context.identity, known: true, applications, volumes, foreign, others }
}

async function knownVolume({ name, dataset, owner, size, type, served }: VolumeInfo): Promise<KnownVolume> {
  const { referenced } = await getProperties(dataset, ['referenced'])
  const held = typeof referenced?.value === 'bigint' ? referenced.value : undefined
  // A block volume's end may be in use, whatever is written.
  return { name, owner: owner.host, epoch: owner.epoch, size, used: type === 'volume' ? size : held, served }
}

/** A host without an engine runs nothing, unless a volume tells of something that somebody else has started. */
function noContainers([desired]: readonly DesiredHere[]): Pick<KnownHost, 'applications' | 'foreign'> {
  if (desired === undefined) return { applications: [], foreign: [] }
  const { application, volume } = desired
  throw new ContainerError(
    'ENGINE_UNAVAILABLE',
    `${application.name} is to run on the volume ${volume}, and this host was not given an engine that could tell of it`,
    { next: 'Start the agent with --engine; or give openHost() { engine }.' },
  )
}

async function readContainers(
  context: ContainersHost,
  desired: readonly DesiredHere[],
  signal: AbortSignal,
): Promise<Pick<KnownHost, 'applications' | 'foreign'>> {
  const engine = await context.engine(signal)
  const containers = await listContainers(context, { signal })
  const foreign = await listForeign(context, { signal })
  const notedFor = (name: string): DesiredHere | undefined =>
    desired.find(({ application }) => application.name === name)
  const present = await Promise.all(containers.map((each) => fromContainer(engine, each, notedFor(each.name), signal)))
  const absent = desired.filter(({ application: { name } }) => !containers.some((each) => each.name === name))
  return { applications: [...present, ...absent.map(withoutContainer)], foreign }
}

/** What runs is the container's to say; where its clients come from, and whether it is to run, is the record's. */
async function fromContainer(
  engine: Engine,
  container: ContainerInfo,
  noted: DesiredHere | undefined,
  signal: AbortSignal,
): Promise<RunningApplication> {
  const { name, application, state } = container
  const alive = isAlive(container)
  return {
    name,
    description: noted === undefined ? application : { ...application, routes: noted.application.routes },
    state: alive ? 'running' : state === 'created' || noted?.running === false ? 'stopped' : 'exited',
    ready: state === 'running' && (await isReady(engine, container, signal)),
  }
}

function withoutContainer({ application, running }: DesiredHere): RunningApplication {
  return { name: application.name, description: application, state: running ? 'exited' : 'stopped', ready: false }
}
