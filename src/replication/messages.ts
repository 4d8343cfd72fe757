import { z } from 'zod'
import { defineMethod, uint64 } from '../transport/index.js'

/** What two hosts say to each other about a volume. Everything is bounded before it is believed. */

/** More snapshots than this are not listed: the newest decide a push, and a message stays well below its bound. */
export const maxListedSnapshots = 4000

const volume = z.string().min(1).max(200)
const pointName = z.string().min(1).max(200)
const resumeToken = z
  .string()
  .min(1)
  .max(64 * 1024)
const point = z.object({ name: pointName, guid: uint64, createtxg: uint64 })

export const inspectVolume = defineMethod('volume.inspect', {
  params: z.object({ volume }),
  result: z.object({
    /** Full name there. */
    dataset: z.string().max(255),
    exists: z.boolean(),
    /** The newest ones, newest first. */
    snapshots: z.array(point).max(maxListedSnapshots),
    /** Whether that is all of them. */
    complete: z.boolean(),
    /** The resume token of what an interrupted receive has left. */
    token: resumeToken.optional(),
    /** A stream is being received right now, and for longer than one that is being cancelled takes. */
    receiving: z.boolean(),
  }),
})

/** Destroys what an interrupted receive has left, if it is still what this token stands for. */
export const discardPartial = defineMethod('volume.discardPartial', {
  params: z.object({ volume, token: resumeToken }),
  result: z.object({}),
})

/**
 * Receives one stream. The event says that the stream is welcome and gives the ticket for the data connection; the result comes
 * when the snapshot is there, with its GUID as read back from the pool. Cancelling the request ends the receive; what has
 * arrived is kept, and can be gone on from or discarded.
 */
export const receiveVolume = defineMethod('volume.receive', {
  params: z.object({
    transfer: z.uuid(),
    volume,
    snapshot: pointName,
    /** The stream's BEGIN record as it stands in the stream: 312 bytes (sys/zfs_ioctl.h, dmu_replay_record_t). */
    begin: z.base64().length(416),
    /** Estimated size of the stream in bytes. */
    estimate: uint64,
    /** Whether to refuse when the estimate exceeds the space available. */
    checkSpace: z.boolean(),
  }),
  event: z.object({ ticket: z.string().max(128) }),
  result: z.object({ guid: uint64, bytes: uint64 }),
})
