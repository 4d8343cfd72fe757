/** What two hosts say to each other about applications. Everything is bounded before it is believed. */
import { z } from 'zod'
import { defineMethod, uint64 } from '../transport/index.js'
import { applicationSchema } from './application.js'

const name = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/)
const image = z.string().min(1).max(255)
const imageId = z.string().max(100)
const milliseconds = z.int().min(0).max(86_400_000)
const address = z.string().min(1).max(300)
const target = z.object({ host: z.string().min(1).max(253), port: z.int().min(1).max(65_535) })
const nothing = z.object({})

/** Why a host could not take an application over. */
const problem = z.object({ code: z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/), message: z.string().max(2000) })
export type Problem = z.output<typeof problem>

/** Whether the asked host could run the application, as far as can be known before. */
export const checkApplication = defineMethod('application.check', {
  params: z.object({ application: applicationSchema }),
  result: z.object({
    problems: z.array(problem).max(100),
    /** The ID of the image of that name, where there is one. */
    imageId: imageId.optional(),
    /** The asked host's clock, in Unix milliseconds. */
    now: z.number(),
  }),
})

/** Takes an image, as an archive over a data connection. */
export const loadApplicationImage = defineMethod('application.image', {
  params: z.object({ name, image }),
  result: z.object({ imageId }),
  event: z.object({ ticket: z.string().max(200) }),
})

/** Fetches an image from its registry. */
export const pullApplicationImage = defineMethod('application.pull', {
  params: z.object({ name, image }),
  result: z.object({ imageId }),
})

/** Names the run of the container that clients are led to: connections to an earlier run lead nowhere any more. */
const run = z.string().max(200)

/** Where clients find what runs on the asked host. */
const routes = z.array(z.object({ address, target })).max(100)
export type WireRoute = z.output<typeof routes>[number]

/** The asked host owns the application's volume, or the application has none: it starts it and waits until it is ready. */
export const startApplication = defineMethod('application.start', {
  params: z.object({
    name,
    /** Of one without volumes; that of any other is in its volume's record. */
    application: applicationSchema.optional(),
    replace: z.boolean().optional(),
    readyMilliseconds: milliseconds,
  }),
  result: z.object({ startMilliseconds: z.number(), readyMilliseconds: z.number(), epoch: uint64, routes, run }),
  /** It runs, and its probe is tried. */
  event: z.object({ phase: z.literal('ready') }),
})

const movePhases = z.record(z.string().max(20), z.number())

/** The asked host runs the application: it moves it to another one, which it reaches by its identity. */
export const moveApplication = defineMethod('application.move', {
  params: z.object({
    name,
    to: z.string().min(1).max(63),
    /** As what it is to run there. */
    as: applicationSchema.optional(),
    /** It does not run: only its volume goes, and it is started there. */
    stopped: z.boolean().optional(),
    image: z.enum(['stream', 'pull', 'require']).optional(),
    holdMilliseconds: milliseconds.optional(),
    readyMilliseconds: milliseconds.optional(),
  }),
  result: z.object({
    epoch: uint64,
    pauseMilliseconds: z.number(),
    milliseconds: z.number(),
    phases: movePhases,
    imageBytes: uint64,
    rounds: z.number(),
    bytes: uint64,
    fronts: z.array(z.string().max(63)).max(1000),
  }),
  event: z.object({ phase: z.string().max(20) }),
})

export const stopApplication = defineMethod('application.stop', { params: z.object({ name }), result: nothing })

/** Removes a container, and what the record of its volume says of it. */
export const removeApplication = defineMethod('application.remove', { params: z.object({ name }), result: nothing })

const routeChange = z.discriminatedUnion('kind', [
  /** New connections wait, at most so long. */
  z.object({ kind: z.literal('hold'), addresses: z.array(address).max(100), milliseconds }),
  /** They go on to where they went before. */
  z.object({ kind: z.literal('release'), addresses: z.array(address).max(100) }),
  /** They go there, those that wait too. */
  z.object({ kind: z.literal('set'), routes, run }),
  z.object({ kind: z.literal('remove'), addresses: z.array(address).max(100) }),
])
export type RouteChange = z.output<typeof routeChange>

/** Says where clients of an application are to be sent. What an earlier owner says is refused. */
export const changeRoutes = defineMethod('routes.change', {
  params: z.object({ application: name, epoch: uint64, change: routeChange }),
  result: nothing,
})

/** Tells the routes of what runs on the asked host. */
export const readRoutes = defineMethod('routes.read', {
  params: nothing,
  result: z.object({ applications: z.array(z.object({ name, epoch: uint64, routes, run })).max(1000) }),
})
