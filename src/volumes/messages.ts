/** What two hosts say to each other about who owns a volume. Everything is bounded before it is believed. */
import { z } from 'zod'
import { defineMethod, uint64 } from '../transport/index.js'
import { longestValue } from './record.js'

/** GUIDs of snapshots that a claim names at most, the newest ones. */
export const mostNamed = 4000

const volume = z.string().min(1).max(200)
const host = z.string().regex(/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/)
const handoff = z.uuid()
const epoch = uint64
const ownership = z.object({ host, epoch })
/** In all they fit one property. */
const metadata = z
  .record(z.string().min(1).max(256), z.string().max(longestValue))
  .refine((value) => JSON.stringify(value).length <= longestValue)
const peers = z.array(host).max(100)
const nothing = z.object({})

/** What a volume is besides its bytes. */
const description = z.object({
  id: z.uuid(),
  type: z.enum(['filesystem', 'volume']),
  owner: ownership,
  size: uint64.optional(),
  metadata,
  application: z.string().max(longestValue).optional(),
  path: z.string().startsWith('/').max(1024).optional(),
  peers,
})
/** What a host says of a volume. */
export type Description = z.output<typeof description>

/** A description of which only what concerns the volume is taken in. */
export function withoutApplication({ application: _, ...rest }: Description): Description {
  return rest
}

/** The asking host owns the volume: the asked one takes that in, and becomes a replica if it was the owner. */
export const claimVolume = defineMethod('volume.claim', {
  params: description.extend({
    volume,
    /** GUIDs of its newest snapshots, newest first. */
    has: z.array(uint64).max(mostNamed),
  }),
  result: nothing,
})

/** Tells who owns a volume, as far as the asked host knows; nothing where it does not know the volume. */
export const whoOwns = defineMethod('volume.owner', {
  params: z.object({ volume, id: z.uuid().optional() }),
  result: z.object({ description: description.optional() }),
})

/** Whether the asked host could take the volume, as far as can be known before. */
export const prepareVolume = defineMethod('volume.prepare', {
  params: z.object({
    volume,
    id: z.uuid(),
    type: z.enum(['filesystem', 'volume']),
    path: z.string().startsWith('/').max(1024).optional(),
  }),
  result: nothing,
})

/** The asked host has been named the owner: it puts the volume into service. May be said again. */
export const takeVolume = defineMethod('volume.take', {
  params: z.object({ volume, epoch, guid: uint64, description }),
  result: nothing,
})

/** The asked host is to give the volume to the asking one: it takes it out of service. Until it is released, losing the connection ends that. */
export const freezeVolume = defineMethod('volume.freeze', {
  params: z.object({ volume, id: z.uuid(), handoff }),
  result: nothing,
})

/** The commit: the asking host has the last snapshot, and is the owner from now on. */
export const releaseVolume = defineMethod('volume.release', {
  params: z.object({ volume, handoff, guid: uint64 }),
  result: z.object({ description }),
})

/** Ends a handoff that is not committed. May be said again. */
export const thawVolume = defineMethod('volume.thaw', {
  params: z.object({ volume, handoff }),
  result: z.object({ description: description.optional() }),
})
