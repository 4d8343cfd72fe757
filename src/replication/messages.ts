import { z } from 'zod'
import { defineMethod, uint64 } from '../transport/index.js'
import { maxOverrides, maxPropertyName, maxPropertyValue, maxSettings } from './choose-properties.js'

/** What two hosts say to each other about a volume. Everything is bounded before it is believed. */

/** More points than this are not listed at once: a message stays well below its bound. */
export const maxListedPoints = 4000

const volume = z.string().min(1).max(255)
const pointName = z.string().min(1).max(200)
const transfer = z.uuid()
const resumeToken = z
  .string()
  .min(1)
  .max(64 * 1024)
const datasetName = z.string().max(255)
const point = z.object({ name: pointName, guid: uint64, createtxg: uint64 })
const ticket = z.string().max(128)
/** A stream's BEGIN record as it stands in the stream: 312 bytes (sys/zfs_ioctl.h, dmu_replay_record_t). */
const begin = z.base64().length(416)
const nothing = z.object({})
const volumeSnapshot = z.object({ volume, snapshot: pointName })
const propertyName = z.string().min(1).max(maxPropertyName)
const setting = z.object({ name: propertyName, value: z.string().max(maxPropertyValue) })
const settings = z.array(setting).max(maxSettings)
/** Of what changes something: whose log lines on either side belong together. */
const change = z.object({ transfer, volume })

// Where the other host is the receiving side.

export const inspectVolume = defineMethod('volume.inspect', {
  params: z.object({ volume }),
  result: z.object({
    /** Full name there. */
    dataset: datasetName,
    exists: z.boolean(),
    /** The newest ones, newest first. */
    snapshots: z.array(point).max(maxListedPoints),
    /** Whether that is all of them. */
    complete: z.boolean(),
    /** The resume token of what an interrupted receive has left. */
    token: resumeToken.optional(),
  }),
})

/** Destroys what an interrupted receive has left, if it is still what this token stands for. */
export const discardPartial = defineMethod('volume.discardPartial', {
  params: change.extend({ token: resumeToken }),
  result: nothing,
})

/**
 * Receives one stream. The event says that the stream is welcome and gives the ticket for the data connection; the result comes
 * when the snapshot is there, with its GUID as read back from the pool. Cancelling the request ends the receive; what has
 * arrived is kept, and can be gone on from or discarded.
 */
export const receiveVolume = defineMethod('volume.receive', {
  params: z.object({
    transfer,
    volume,
    snapshot: pointName,
    begin,
    /** Bytes still to come, by estimate, for which there must be room; 0 for no such check. */
    least: uint64,
    /** The asked host's snapshot that it is received as a clone of. */
    origin: volumeSnapshot.optional(),
    /** What the replica is to have received in place of what it has, and what is to be set on it. The asked host has the last word. */
    properties: z.object({ received: settings.optional(), overrides: z.array(setting).max(maxOverrides) }).optional(),
  }),
  event: z.object({ ticket }),
  result: z.object({
    guid: uint64,
    bytes: uint64,
    /** Properties that it did not get, each with the reason's name; absent where the host receives none at all. */
    leftOut: z
      .array(z.object({ name: propertyName, why: z.string().max(40) }))
      .max(maxSettings + maxOverrides)
      .optional(),
  }),
})

/** Gives the replica another name, which frees its own. */
export const preserveVolume = defineMethod('volume.preserve', {
  params: change,
  result: z.object({ dataset: datasetName }),
})

/** Rolls the replica back to a snapshot, if exactly these are newer. */
export const rollbackVolume = defineMethod('volume.rollback', {
  params: change.extend({ to: uint64, losing: z.array(uint64).max(maxListedPoints) }),
  result: nothing,
})

/** Gives a replica and all below it another name. */
export const renameVolume = defineMethod('volume.rename', { params: change.extend({ to: volume }), result: nothing })

/** Makes an empty filesystem that is never mounted, for replicas to be below. */
export const createParent = defineMethod('volume.createParent', { params: change, result: nothing })

// Whole trees, on either side.

/** Bounds of one page; each keeps a message well below its own. */
export const maxListedDatasets = 500
export const maxListedTokenBytes = 256 * 1024
export const maxAskedVolumes = 500
/** Snapshots and bookmarks together. */
export const maxPagePoints = 2000
/** Snapshots taken at one moment, and the length of their datasets' names, all in one message. */
export const maxTakenSnapshots = 20_000
export const maxTakenNameBytes = 900 * 1024

/** Which side the asked host is on: what it tells as a source needs the right `send`, as a destination `inspect`. */
const side = z.enum(['source', 'destination'])
/** A name below the volume; empty for itself. */
const below = z.string().max(255)
/** Also one that we would not give: it is told, and can't be replicated. */
const foundName = z.string().max(255)
const foundPoint = point.extend({ name: foundName })
const ivsetGuid = uint64.optional()

/** Lists a volume and what is below it and the asking host has the right to, by name; nothing where it does not exist. */
export const listTree = defineMethod('volume.list', {
  params: z.object({
    side,
    volume,
    recursive: z.boolean(),
    /** Go on after this name. */
    after: below.optional(),
  }),
  result: z.object({
    /** The volume's full name there. */
    root: datasetName,
    datasets: z
      .array(
        z.object({
          name: below,
          type: z.enum(['filesystem', 'volume']),
          guid: uint64,
          encrypted: z.boolean(),
          /** What it is a clone of, by its full name there. */
          origin: foundPoint.extend({ ivsetGuid }).optional(),
          referenced: uint64.optional(),
          written: uint64.optional(),
          token: resumeToken.optional(),
        }),
      )
      .max(maxListedDatasets),
    more: z.boolean(),
  }),
})

/**
 * The histories of these, as many as have room in a page. The last may be incomplete: it goes on in the page that is asked for with
 * it as the first, and `after`.
 */
export const readPoints = defineMethod('volume.points', {
  params: z.object({
    side,
    volumes: z.array(volume).min(1).max(maxAskedVolumes),
    /** Of the first one, the points with a greater createtxg than this. */
    after: uint64,
  }),
  result: z.object({
    histories: z
      .array(
        z.object({
          /** Oldest first. */
          snapshots: z
            .array(
              foundPoint.extend({
                creation: uint64,
                userrefs: uint64,
                ivsetGuid,
                /** Made for the asking host, and not confirmed by it. */
                pending: z.boolean().optional(),
              }),
            )
            .max(maxPagePoints),
          /** Oldest first; of several with one GUID, one. */
          bookmarks: z.array(foundPoint).max(maxPagePoints),
          more: z.boolean(),
        }),
      )
      .min(1)
      .max(maxAskedVolumes),
  }),
})

// Where the other host is the sending side. Points are named by GUID: nothing is sent for a name.

/** Settles what earlier replications to the asking host have left, and lists what there is. */
export const offerVolume = defineMethod('volume.offer', {
  params: change.extend({
    /** The GUIDs of the asking host's snapshots, and whether these are all. */
    has: z.array(uint64).max(maxListedPoints),
    complete: z.boolean(),
    /** The GUID of the snapshot that it has a part of. */
    partial: uint64.optional(),
    /** The snapshot that it is to get, where one was named. */
    wanted: pointName.optional(),
    /** List the snapshots with a greater createtxg than this. */
    after: uint64,
  }),
  result: z.object({
    dataset: datasetName,
    /** Whether its streams are raw. */
    raw: z.boolean(),
    /** Oldest first. */
    snapshots: z
      .array(point.extend({ userrefs: uint64, pendingFor: z.string().max(1024).optional() }))
      .max(maxListedPoints),
    /** Whether there are more, after the last of these. */
    more: z.boolean(),
    /** Those of `has`, and the newest ones. */
    bookmarks: z.array(point).max(maxListedPoints),
  }),
})

/** Takes a snapshot for the asking host. */
export const snapshotVolume = defineMethod('volume.snapshot', { params: change, result: point })

/** Takes snapshots of a volume and of those below it for the asking host, at one moment. */
export const snapshotTree = defineMethod('volume.snapshotTree', {
  params: change.extend({ names: z.array(below).min(1).max(maxTakenSnapshots) }),
  result: z.object({
    name: pointName,
    createtxg: uint64,
    /** In the order of the names. */
    guids: z.array(uint64).max(maxTakenSnapshots),
  }),
})

/** Estimates a stream's size in bytes. */
export const estimateStream = defineMethod('volume.estimate', {
  params: z.object({ volume, guid: uint64, base: uint64.optional() }),
  result: z.object({ bytes: uint64 }),
})

/**
 * Sends one stream. The event gives its BEGIN record, its estimated size and the ticket for the data connection, from which the
 * asking host receives.
 */
export const sendVolume = defineMethod('volume.send', {
  params: z.object({
    transfer,
    volume,
    guid: uint64,
    base: uint64.optional(),
    resume: z
      .object({
        object: uint64,
        offset: uint64,
        bytes: uint64,
        flags: z.object({
          largeBlocks: z.boolean(),
          embedded: z.boolean(),
          compressed: z.boolean(),
          raw: z.boolean(),
        }),
      })
      .optional(),
    /** Tell the dataset's own properties too. */
    properties: z.boolean().optional(),
  }),
  event: z.object({ ticket, begin, total: uint64, properties: settings.optional() }),
  result: z.object({ bytes: uint64 }),
})

/** The asking host has this snapshot. */
export const confirmVolume = defineMethod('volume.confirm', {
  params: change.extend({ guid: uint64 }),
  result: nothing,
})

/** The asking host has nothing of this snapshot, which was taken for it. */
export const withdrawVolume = defineMethod('volume.withdraw', {
  params: change.extend({ guid: uint64 }),
  result: nothing,
})
