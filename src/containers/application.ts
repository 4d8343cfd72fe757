/** What an application is: one container, described so that any host of the cluster can run it. */
import { z } from 'zod'
import { ArgumentError } from '../errors.js'

/** A port of the container's, and of the host that runs it. TCP. */
export interface ApplicationPort {
  /** The port that the program in the container listens on. */
  container: number
  /** The host's port that leads to it; routes lead there. With `network: 'host'` it is the container's own. Default: the same. */
  host?: number | undefined
}

/** A volume of ours, by name, and where the container sees it. */
export interface ApplicationVolume {
  volume: string
  /** Absolute path in the container. */
  path: string
  readOnly?: boolean | undefined
}

/**
 * Where the container finds another application: environment variables that point at the proxy of its own host, in the form of Docker's
 * links: `ALIAS_PORT_5432_TCP=tcp://ADDRESS:PORT`, and `..._ADDR`, `..._PORT`, `..._PROTO`.
 */
export interface ApplicationLink {
  /** Letters, digits, `_` and `-`; in capitals it begins the variables' names. */
  alias: string
  /** The port that the application is to believe in. */
  port: number
  /** The TCP port of the route that leads to it, on every host. */
  routePort: number
}

/** How it is found out that a container is ready, besides that it runs. */
export type Probe =
  /** The container's own: the image's HEALTHCHECK, or `command`, run in the container; status 0 is ready. */
  | ({ kind: 'container'; command?: readonly string[] | undefined } & ProbeTimes)
  /** A connection to one of its ports is accepted. */
  | ({ kind: 'tcp'; port: number } & ProbeTimes)
  /** `GET path` at one of its ports is answered with that status; default any of 200 to 399. */
  | ({ kind: 'http'; port: number; path: string; status?: number | undefined } & ProbeTimes)

/** How often and how long a probe is tried. */
export interface ProbeTimes {
  /**
   * Between two tries, in milliseconds. Of `tcp` and `http` while it is waited for, and at least as long as the last one took; default 100.
   * Of `container` those that the engine makes for as long as it runs, default 30,000 as Docker's; who waits for it tries as with the others.
   */
  intervalMilliseconds?: number | undefined
  /** For one try, in milliseconds. Default: 5000. */
  timeoutMilliseconds?: number | undefined
}

/** `no`: it stays ended. `on-failure`: it is started again where its status is not 0. `always`: it is started again however it ended. */
export type RestartPolicy = 'no' | 'on-failure' | 'always'

/** An application as its owner describes it. */
export interface Application {
  /** Its name, and its container's: lower-case letters, digits, `_`, `.` and `-`. */
  name: string
  image: string
  /** In place of the image's ENTRYPOINT. */
  entrypoint?: readonly string[] | undefined
  /** In place of the image's CMD. */
  command?: readonly string[] | undefined
  /** Kept with the volume, where all who may read the pool's properties can read it. */
  environment?: Readonly<Record<string, string>> | undefined
  /** `USER` or `UID:GID`. Default: the image's. */
  user?: string | undefined
  workingDirectory?: string | undefined
  /** `bridge`, `host`, `none`, or a network of the engine's. Default: `bridge`. */
  network?: string | undefined
  ports?: readonly ApplicationPort[] | undefined
  volumes?: readonly ApplicationVolume[] | undefined
  links?: readonly ApplicationLink[] | undefined
  /** Processors, such as 1.5. */
  cpus?: number | undefined
  /** The most memory that it may use, in bytes. */
  memory?: number | undefined
  /** Default: `always`. */
  restart?: RestartPolicy | undefined
  health?: Probe | undefined
  /** Default: the image's, or SIGTERM. */
  stopSignal?: string | undefined
  /** How long it may take to stop, before it is killed, in seconds. Default: 30. */
  stopSeconds?: number | undefined
  /** Run in the container before it is stopped to be moved, while clients still use it, such as a database's checkpoint. */
  beforeStop?: readonly string[] | undefined
  /** Addresses of clients, such as `tcp:5432`, `tls:443:db.example` or `http:80:www.example`, and the container's port that each leads to. */
  routes?: readonly ApplicationRoute[] | undefined
}

/** Where clients dial an application. docs/routing.md */
export interface ApplicationRoute {
  address: string
  /** One of {@link Application.ports}, by the container's port. */
  port: number
}

const port = z.int().min(1).max(65_535)
const words = z.array(z.string().max(65_536)).max(1000)
const absolute = z.string().startsWith('/').max(4096)
const milliseconds = z.int().min(1).max(86_400_000)
const times = { intervalMilliseconds: milliseconds.optional(), timeoutMilliseconds: milliseconds.optional() }

const probe = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('container'), command: words.min(1).optional(), ...times }),
  z.strictObject({ kind: z.literal('tcp'), port, ...times }),
  z.strictObject({
    kind: z.literal('http'),
    port,
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/)
      .max(2000),
    status: z.int().min(100).max(599).optional(),
    ...times,
  }),
])

/** @internal Also what comes from a peer, or from a pool, is read with it. */
export const applicationSchema: z.ZodType<Application> = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/, 'lower-case letters, digits, "_", "." and "-", at most 63'),
    image: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.:/@-]{0,254}$/, 'the name of an image'),
    entrypoint: words.optional(),
    command: words.optional(),
    environment: z
      .record(z.string().regex(/^[^=\0]{1,256}$/, 'no "=" in a name'), z.string().regex(/^[^\0]*$/, 'no NUL'))
      .optional(),
    user: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/)
      .optional(),
    workingDirectory: absolute.optional(),
    network: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/)
      .optional(),
    ports: z
      .array(z.strictObject({ container: port, host: port.optional() }))
      .max(1000)
      .optional(),
    volumes: z
      .array(z.strictObject({ volume: z.string().min(1).max(200), path: absolute, readOnly: z.boolean().optional() }))
      .max(100)
      .optional(),
    links: z
      .array(z.strictObject({ alias: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/), port, routePort: port }))
      .max(100)
      .optional(),
    cpus: z.number().min(0.01).max(10_000).optional(),
    memory: z
      .int()
      .min(6 * 1024 * 1024, 'at least 6 MiB')
      .optional(),
    restart: z.enum(['no', 'on-failure', 'always']).optional(),
    health: probe.optional(),
    stopSignal: z
      .string()
      .regex(/^(?:SIG)?[A-Z0-9+-]{2,12}$/)
      .optional(),
    stopSeconds: z.int().min(0).max(86_400).optional(),
    beforeStop: words.min(1).optional(),
    routes: z
      .array(z.strictObject({ address: z.string().min(1).max(300), port }))
      .max(100)
      .optional(),
  })
  .superRefine(checkTogether)

/** What its parts have to do with each other. */
function checkTogether(app: Application, context: z.RefinementCtx): void {
  const problem = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
  const { ports = [], volumes = [], routes = [], links = [], health, network = 'bridge' } = app
  const known = new Set(ports.map(({ container }) => container))
  for (const { port } of routes) if (!known.has(port)) problem('routes', `${port} is not one of its ports`)
  if (health !== undefined && health.kind !== 'container' && !known.has(health.port)) {
    problem('health', `${health.port} is not one of its ports`)
  }
  if (new Set(ports.map(hostPort)).size !== ports.length) problem('ports', 'two of them have the same port of the host')
  if (new Set(routes.map(({ address }) => address)).size !== routes.length) {
    problem('routes', 'two of them have the same address')
  }
  if (new Set(volumes.map(({ path }) => path)).size !== volumes.length) problem('volumes', 'two have the same path')
  if (new Set(volumes.map(({ volume }) => volume)).size !== volumes.length) problem('volumes', 'one is named twice')
  if (new Set(links.map(({ alias, port }) => `${alias}:${port}`)).size !== links.length) {
    problem('links', 'two have the same alias and port')
  }
  if (network === 'host' && ports.some((each) => hostPort(each) !== each.container)) {
    problem('ports', 'with the network "host", the host\'s port is the container\'s')
  }
}

/** The host's port that leads to a container's. */
export function hostPort({ container, host }: ApplicationPort): number {
  return host ?? container
}

/**
 * Reads an application's description.
 * @throws ArgumentError `INVALID_ARGUMENT`, which names each thing that is wrong
 */
export function parseApplication(value: unknown): Application {
  const parsed = applicationSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const name = z.object({ name: z.string() }).safeParse(value)
  const which = name.success ? `The application ${JSON.stringify(name.data.name)}` : 'The application'
  const issues = parsed.error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'it'}: ${message}`)
  throw new ArgumentError(`${which} is not one that can be run: ${issues.slice(0, 10).join('; ')}`, {
    cause: parsed.error,
  })
}

/** The volumes of an application that go where its primary one goes. */
export function companionVolumes(application: Application): string[] {
  const primary = primaryVolume(application)
  return (application.volumes ?? []).map(({ volume }) => volume).filter((volume) => volume !== primary)
}

/** The volume whose owner runs the application; the others follow it. */
export function primaryVolume({ volumes = [] }: Application): string | undefined {
  return volumes.find(({ readOnly }) => readOnly !== true)?.volume ?? volumes[0]?.volume
}
