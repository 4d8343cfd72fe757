/** What is to run on a volume, kept in the volume's own record: it goes where the volume goes. */
import { z } from 'zod'
import { ContainerError, FlockerError, OwnershipError } from '../errors.js'
import { changeApplication, longestValue, readApplications, type VolumesHost } from '../volumes/index.js'
import { type Application, applicationSchema, companionVolumes, primaryVolume } from './application.js'

/** What the owner of a volume wants of the application on it. */
export interface Desired {
  application: Application
  /** Whether it is to run. */
  running: boolean
  /** The process that moves it, or is about to start or stop it: as long as that lives, nobody else does either. */
  held?: { host: string; process: string } | undefined
}

/** What is to run on a volume that this host has, as its owner or not. */
export interface DesiredHere extends Desired {
  /** The volume's name below the root. */
  volume: string
  /** Whether this host owns it. */
  owned: boolean
  /** Whether this host serves it: it is writable here, and mounted. */
  served: boolean
  /** The owner's identity, and since which epoch. */
  owner: { host: string; epoch: bigint }
}

/** A volume of this host's that goes where another one goes, on which its application runs. */
export interface CompanionHere {
  volume: string
  /** The application's name. */
  name: string
  /** The volume that it follows. */
  follows: string
  owned: boolean
  served: boolean
}

const companionSchema = z.strictObject({ name: z.string(), follows: z.string() })
const schema = z.object({
  application: applicationSchema,
  running: z.boolean(),
  held: z.object({ host: z.string(), process: z.string() }).optional(),
})

/** @throws ContainerError `INVALID_ARGUMENT`: it is too long to be kept */
export function encodeDesired({ application, running, held }: Desired): string {
  const text = JSON.stringify({ running, held, application })
  const bytes = Buffer.byteLength(text)
  if (bytes <= longestValue) return text
  throw new ContainerError(
    'INVALID_ARGUMENT',
    `The description of ${application.name} has ${bytes} bytes as JSON: a volume's record can hold ${longestValue}`,
    { next: 'Give it less of an environment, or keep that in a file of the volume.' },
  )
}

/** @throws FlockerError `RECORD_INVALID` */
export function decodeDesired(text: string, dataset: string): Desired {
  return decode(schema, text, dataset)
}

function isCompanion(text: string): boolean {
  return text.startsWith('{"follows"')
}

function decode<T>(form: z.ZodType<T>, text: string, dataset: string): T {
  try {
    return form.parse(JSON.parse(text))
  } catch (cause) {
    throw new FlockerError('RECORD_INVALID', `What runs on ${dataset} is not described as it was written there`, {
      dataset,
      cause,
      next: `Look at it: zfs get flocker-zfs:application ${dataset}. Nothing is started or stopped meanwhile.`,
    })
  }
}

/**
 * All applications that have a volume here.
 * @param which `all`: one that can't be read is an error; `readable`: it is logged and left out
 * @throws FlockerError `RECORD_INVALID`
 */
export async function readAllDesired(
  host: VolumesHost,
  which: 'all' | 'readable' = 'readable',
): Promise<DesiredHere[]> {
  const found: DesiredHere[] = []
  for (const { text, dataset, ...rest } of await readApplications(host)) {
    if (isCompanion(text)) continue
    try {
      found.push({ ...rest, ...decodeDesired(text, dataset) })
    } catch (error) {
      if (which === 'all') throw error
      host.logger.error({ err: error, volume: dataset }, 'what runs on the volume can not be read')
    }
  }
  return found
}

/** What is to run on a volume that this host owns, by the application's name. */
export async function findDesired(host: VolumesHost, name: string): Promise<DesiredHere | undefined> {
  return (await readAllDesired(host)).find(({ application, owned }) => owned && application.name === name)
}

/** @throws ContainerError `CONTAINER_UNKNOWN`: no volume of this host's tells of it */
export async function requireDesired(host: VolumesHost, name: string): Promise<DesiredHere> {
  const found = await findDesired(host, name)
  if (found !== undefined) return found
  throw new ContainerError('CONTAINER_UNKNOWN', `${host.identity} owns no volume that ${name} runs on`)
}

/**
 * An application as the record of its volume has it, where this host owns that: the container's label may have earlier routes.
 * @param found as its container's label has it
 */
export async function asNoted(host: VolumesHost, found: Application): Promise<Application> {
  if (primaryVolume(found) === undefined) return found
  return (await findDesired(host, found.name))?.application ?? found
}

/** All volumes here that go where another one goes. */
export async function readCompanions(host: VolumesHost): Promise<CompanionHere[]> {
  const noted = (await readApplications(host)).filter(({ text }) => isCompanion(text))
  return noted.map(({ text, dataset, volume, owned, served }) => {
    return { ...decode(companionSchema, text, dataset), volume, owned, served }
  })
}

/**
 * Notes what is to run on its volume, if it has one, and on its other volumes that they follow that one.
 * @returns what was noted before
 * @throws OwnershipError `NOT_OWNER`; `IN_USE`: another application is to run there
 */
export async function noteDesired(host: VolumesHost, desired: Desired): Promise<Desired | undefined> {
  const { application } = desired
  const { name } = application
  const volume = primaryVolume(application)
  if (volume === undefined) return undefined
  const text = encodeDesired(desired)
  for (const each of companionVolumes(application)) {
    await change(host, each, name, JSON.stringify({ follows: volume, name }))
  }
  const before = await change(host, volume, name, text)
  return before === undefined ? undefined : decodeDesired(before, volume)
}

/** Takes back what {@link noteDesired} noted, or notes that nothing is to run on the volume any more. */
export async function restoreDesired(
  host: VolumesHost,
  application: Application,
  before: Desired | undefined,
): Promise<void> {
  const volume = primaryVolume(application)
  if (volume === undefined) return
  await change(host, volume, application.name, before && encodeDesired(before))
  if (before !== undefined) return
  for (const each of companionVolumes(application)) await change(host, each, application.name, undefined)
}

async function change(
  host: VolumesHost,
  volume: string,
  name: string,
  text: string | undefined,
): Promise<string | undefined> {
  return changeApplication(host, volume, (present, dataset) => {
    const other = present === undefined ? undefined : nameIn(present, dataset)
    if (other === undefined || other === name) return text
    throw new OwnershipError('IN_USE', `${other} is to run on ${dataset}, not ${name}`, {
      dataset,
      next: `Remove ${other} first.`,
    })
  })
}

/** The application that a note is about. */
function nameIn(text: string, dataset: string): string {
  return isCompanion(text) ? decode(companionSchema, text, dataset).name : decodeDesired(text, dataset).application.name
}
