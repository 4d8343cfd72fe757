/** What a host that deploys asks of another one, besides what is asked of applications. Everything is bounded before it is believed. */
import { z } from 'zod'
import { defineMethod, uint64 } from '../transport/index.js'
import { applicationSchema } from './application.js'
import { volumeName } from './cluster.js'

const name = z.string().min(1).max(255)
const host = z.string().min(1).max(63)
const text = z.string().max(8192)

const runningApplication = z.object({
  name,
  description: applicationSchema,
  state: z.enum(['running', 'stopped', 'exited']),
  ready: z.boolean(),
})

const knownVolume = z.object({
  name: z.string().min(1).max(255),
  owner: host,
  epoch: uint64,
  size: uint64.optional(),
  used: uint64.optional(),
  served: z.boolean().optional(),
})

/** How many there may be on one host. */
export const mostTold = 100_000

/** Tells of all that the asked host has, one by one, and then of how many there were: no message could hold all of it. */
export const readHost = defineMethod('host.state', {
  params: z.object({}),
  event: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('application'), application: runningApplication }),
    z.object({ kind: z.literal('volume'), volume: knownVolume }),
    z.object({ kind: z.literal('foreign'), name }),
    z.object({ kind: z.literal('other'), name }),
  ]),
  /** How many there were in all. */
  result: z.object({ told: z.int() }),
})

/** Makes a volume that the asked host owns. */
export const makeVolume = defineMethod('volume.create', {
  params: z.object({
    volume: volumeName,
    quota: uint64.optional(),
    properties: z.record(z.string().min(1).max(256), text).optional(),
    metadata: z.record(z.string().min(1).max(256), text).optional(),
  }),
  result: z.object({}),
})

/** Changes the most that a filesystem of the asked host's may hold. */
export const limitVolume = defineMethod('volume.limit', {
  params: z.object({ volume: volumeName, size: uint64 }),
  result: z.object({}),
})
