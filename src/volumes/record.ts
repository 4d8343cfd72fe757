/** What makes a dataset a volume: our user properties on it, so that a pool is its own record. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { getProperties } from '../datasets/index.js'
import { FlockerError, ZfsError } from '../errors.js'
import { channelProgram } from '../lzc/index.js'
import { uint64 } from '../transport/index.js'
import type { Journal, Ownership, Standing } from './ownership.js'

/** The properties, each local to the dataset: what one inherits is its parent's. */
export const recordNames = {
  id: 'flocker-zfs:id',
  /** `EPOCH HOST`: one property, since it decides who may write. */
  owner: 'flocker-zfs:owner',
  handoff: 'flocker-zfs:handoff',
  lease: 'flocker-zfs:lease',
  /** The hosts that may be promoted, by identity. */
  peers: 'flocker-zfs:peers',
  /** The import of the pool since which this host serves it. */
  active: 'flocker-zfs:active',
  /** The size that a filesystem is limited to, in bytes. */
  size: 'flocker-zfs:size',
  metadata: 'flocker-zfs:metadata',
  /** What runs on it, as src/containers keeps it: it runs where the owner is. */
  application: 'flocker-zfs:application',
  /** Where the owner has it mounted. */
  path: 'flocker-zfs:path',
  /** Present on a former owner's that may hold what was never sent. */
  former: 'flocker-zfs:former',
  /** On what is to take a former owner's place: `VOLUME KEPT`, the full names of that and of what is kept of it. */
  becomes: 'flocker-zfs:becomes',
  /** On what is kept of a former owner's: the full name that it had. */
  unsent: 'flocker-zfs:unsent',
} as const

/** The most that one property can hold, in bytes: ZAP_MAXVALUELEN less its end. */
export const longestValue = 8191

/** Our properties of one dataset, as they are in the pool. */
export type RawRecord = Readonly<Record<string, string>>

/** A lease, as it is kept: see {@link Lease}. Without a holder, only the last token. */
export interface LeaseRecord {
  token: bigint
  holder?: string | undefined
  /** Unix milliseconds. */
  expires?: number | undefined
}

/** A volume by its own record. */
export interface VolumeRecord extends Standing {
  id: string
  type: 'filesystem' | 'volume'
  lease: LeaseRecord | undefined
  peers: readonly string[]
  active: string | undefined
  size: bigint | undefined
  metadata: Readonly<Record<string, string>>
  application: string | undefined
  path: string | undefined
  /** It may hold what was never sent. */
  former: boolean
  raw: RawRecord
}

const journalSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('giving'),
    handoff: z.string(),
    to: z.string(),
    guid: uint64.optional(),
    process: z.string().optional(),
  }),
  z.object({
    kind: z.literal('taking'),
    handoff: z.string(),
    from: z.string(),
    guid: uint64,
    process: z.string().optional(),
  }),
])
const leaseSchema = z.object({ token: uint64, holder: z.string().optional(), expires: z.number().optional() })
const metadataSchema = z.record(z.string(), z.string())

/**
 * Reads a dataset's record; `undefined` where it is no volume of ours.
 * @throws ZfsError `NOT_FOUND`; FlockerError `RECORD_INVALID`: somebody has changed our properties
 */
export async function readRecord(dataset: string): Promise<VolumeRecord | undefined> {
  const read = await getProperties(dataset, ['type', ...Object.values(recordNames)])
  return parseRecord(dataset, read.type?.value === 'volume' ? 'volume' : 'filesystem', ownProperties(read))
}

/** As {@link readRecord}, also `undefined` where there is no such dataset. */
export async function findRecord(dataset: string): Promise<VolumeRecord | undefined> {
  try {
    return await readRecord(dataset)
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

async function readRaw(dataset: string): Promise<RawRecord> {
  return ownProperties(await getProperties(dataset, Object.values(recordNames)))
}

/** Of a dataset's properties, those that are our record. */
export function ownProperties(properties: Awaited<ReturnType<typeof getProperties>>): RawRecord {
  return Object.fromEntries(
    Object.values(recordNames).flatMap((name) => {
      const { value, source } = properties[name] ?? {}
      return source === 'local' ? [[name, String(value)]] : []
    }),
  )
}

/** Reads what {@link encodeRecord} writes. */
export function parseRecord(dataset: string, type: VolumeRecord['type'], raw: RawRecord): VolumeRecord | undefined {
  const id = raw[recordNames.id]
  const owned = /^(\d{1,20}) ([a-z0-9._-]+)$/.exec(raw[recordNames.owner] ?? '')
  if (id === undefined && owned === null) return undefined
  try {
    if (id === undefined || owned === null) throw new Error('one of id and owner is missing')
    const owner: Ownership = { epoch: BigInt(owned[1] as string), host: owned[2] as string }
    const journal = parse(raw[recordNames.handoff], journalSchema) as Journal | undefined
    return {
      id,
      type,
      owner,
      ...(journal === undefined ? {} : { journal }),
      lease: parse(raw[recordNames.lease], leaseSchema),
      peers: (raw[recordNames.peers] ?? '').split(' ').filter((peer) => peer !== ''),
      active: raw[recordNames.active],
      size: raw[recordNames.size] === undefined ? undefined : BigInt(raw[recordNames.size] as string),
      metadata: parse(raw[recordNames.metadata], metadataSchema) ?? {},
      application: raw[recordNames.application],
      path: raw[recordNames.path],
      former: raw[recordNames.former] !== undefined,
      raw,
    }
  } catch (cause) {
    throw new FlockerError(
      'RECORD_INVALID',
      `The flocker-zfs properties of ${dataset} are not what was written there`,
      {
        dataset,
        cause,
        next: `Look at them: zfs get all ${dataset}. Nothing is done with the volume meanwhile.`,
      },
    )
  }
}

function parse<T extends z.ZodType>(text: string | undefined, schema: T): z.output<T> | undefined {
  return text === undefined ? undefined : schema.parse(JSON.parse(text))
}

/** What can be changed of a record; `null` takes a property away. */
export interface RecordChange {
  id?: string
  owner?: Ownership
  journal?: Journal | null
  lease?: LeaseRecord | null
  peers?: readonly string[]
  active?: string | null
  size?: bigint | null
  metadata?: Readonly<Record<string, string>>
  application?: string | null
  path?: string | null
  former?: boolean
}

/** A change as properties; the empty text takes one away. */
export function encodeRecord(change: RecordChange): Record<string, string> {
  const json = (value: unknown): string =>
    value === null ? '' : JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each))
  const encoded: Record<string, string | undefined> = {
    [recordNames.id]: change.id,
    [recordNames.owner]: change.owner && `${change.owner.epoch} ${change.owner.host}`,
    [recordNames.handoff]: change.journal === undefined ? undefined : json(change.journal),
    [recordNames.lease]: change.lease === undefined ? undefined : json(change.lease),
    [recordNames.peers]: change.peers && [...change.peers].sort().join(' '),
    [recordNames.active]: change.active === undefined ? undefined : (change.active ?? ''),
    [recordNames.size]: change.size === undefined ? undefined : String(change.size ?? ''),
    [recordNames.metadata]: change.metadata && json(change.metadata),
    [recordNames.application]: change.application === undefined ? undefined : (change.application ?? ''),
    [recordNames.path]: change.path === undefined ? undefined : (change.path ?? ''),
    [recordNames.former]: change.former === undefined ? undefined : change.former ? 'yes' : '',
  }
  return Object.fromEntries(
    Object.entries(encoded).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

/** What decides is compared before it is changed: nobody overwrites what another process has just written. */
const deciding = [recordNames.owner, recordNames.handoff, recordNames.lease]

const compareAndSet = `
args = ...
local own = {}
for name, value, source in zfs.list.user_properties(args.dataset) do
  if source == args.dataset then own[name] = value end
end
for name, value in pairs(args.expect) do
  if (own[name] or '') ~= value then return false end
end
for name, value in pairs(args.set) do
  local failed
  if value ~= '' then
    failed = zfs.sync.set_prop(args.dataset, name, value)
  elseif own[name] ~= nil then
    failed = zfs.sync.inherit(args.dataset, name)
  end
  if failed ~= nil and failed ~= 0 then error(name .. ': errno ' .. failed) end
end
return true
`

/**
 * Changes a dataset's record in one transaction, if what decides is still what it was.
 * @returns whether it was
 */
async function compareAndChange(dataset: string, before: RawRecord, set: Record<string, string>): Promise<boolean> {
  const expect = Object.fromEntries(deciding.map((name) => [name, before[name] ?? '']))
  if (Object.keys(set).length === 0) return true
  const pool = dataset.split('/', 1)[0] as string
  return (await channelProgram(pool, compareAndSet, { arguments: { dataset, expect, set } })) === true
}

/** Another process of this host may be at work with the same volume; it does not come between for ever. */
const mostTries = 20

/**
 * Changes a volume's record: what it becomes is decided anew where another process has changed it meanwhile.
 * @param decide throws to refuse; `undefined` changes nothing
 * @returns the record as it is then
 * @throws ZfsError `NOT_FOUND`, also where the dataset is no volume
 */
export async function changeRecord(
  dataset: string,
  decide: (record: VolumeRecord) => RecordChange | undefined,
): Promise<VolumeRecord> {
  for (let tries = 0; tries < mostTries; tries++) {
    const record = await readRecord(dataset)
    if (record === undefined) throw notAVolume(dataset)
    const change = decide(record)
    if (change === undefined) return record
    if (!(await compareAndChange(dataset, record.raw, encodeRecord(change)))) continue
    return parseRecord(dataset, record.type, apply(record.raw, encodeRecord(change))) as VolumeRecord
  }
  throw new FlockerError('INTERNAL', `The record of ${dataset} changes faster than it can be read`, { dataset })
}

/** Moves a volume's standing on. */
export async function changeStanding(
  dataset: string,
  decide: (standing: VolumeRecord) => Standing,
  besides: RecordChange = {},
): Promise<VolumeRecord> {
  return changeRecord(dataset, (record) => {
    const { owner, journal } = decide(record)
    if (owner === record.owner && journal === record.journal) return undefined
    return { ...besides, owner, journal: journal ?? null }
  })
}

/** Makes a volume of a dataset that is none. @returns whether it still was none */
export async function beginRecord(dataset: string, change: RecordChange): Promise<boolean> {
  return compareAndChange(dataset, {}, encodeRecord(change))
}

/** Makes a volume no volume any more, but what is kept of one. */
export async function endRecord(dataset: string, unsent: string): Promise<void> {
  const raw = await readRaw(dataset)
  const gone = Object.keys(raw).map((name) => [name, ''])
  await compareAndChange(dataset, raw, { ...Object.fromEntries(gone), [recordNames.unsent]: unsent })
}

function apply(raw: RawRecord, changes: Readonly<Record<string, string>>): RawRecord {
  return Object.fromEntries(Object.entries({ ...raw, ...changes }).filter(([, value]) => value !== ''))
}

/** A new volume's record. */
export function newRecord(
  self: string,
  more: Pick<RecordChange, 'size' | 'metadata' | 'path' | 'active'>,
): Record<string, string> {
  return encodeRecord({ id: randomUUID(), owner: { host: self, epoch: 1n }, ...more })
}

export function notAVolume(dataset: string): ZfsError {
  return new ZfsError('NOT_FOUND', `${dataset} is not a volume of flocker-zfs`, {
    dataset,
    next: 'Volumes are made with host.createVolume(), or come from another host. Other datasets are left alone.',
  })
}
