/** An application as the engine is asked to make it (Docker Engine API, ContainerCreate): without I/O. */
import type { ContainerCreateOptions } from 'dockerode'
import { type Application, hostPort, primaryVolume } from './application.js'
import { labelsFor } from './labels.js'
import { probeTimes } from './probe-times.js'

/** What is known only on the host that is to run it. */
export interface Place {
  /** This host's identity. */
  host: string
  /** Since which epoch it owns the application's volume; 0 for one without. */
  epoch: bigint
  /** Where each volume is mounted here. */
  paths: ReadonlyMap<string, string>
}

/** The name by which a container on a network of its own finds the host that it runs on. */
export const hostAlias = 'host.docker.internal'

const defaultStopSeconds = 30
const nanoseconds = 1_000_000

/** How long a container may take to stop, in seconds. */
export const stopSecondsOf = ({ stopSeconds = defaultStopSeconds }: Application): number => stopSeconds

export function createOptions(
  app: Application,
  { host, epoch, paths }: Place,
): ContainerCreateOptions & { name: string } {
  const { network = 'bridge', ports = [], volumes = [], links = [], health } = app
  const published = network === 'host' || network === 'none' ? [] : ports
  return {
    name: app.name,
    Image: app.image,
    ...(app.entrypoint === undefined ? {} : { Entrypoint: [...app.entrypoint] }),
    ...(app.command === undefined ? {} : { Cmd: [...app.command] }),
    ...(app.user === undefined ? {} : { User: app.user }),
    ...(app.workingDirectory === undefined ? {} : { WorkingDir: app.workingDirectory }),
    ...(app.stopSignal === undefined ? {} : { StopSignal: app.stopSignal }),
    StopTimeout: stopSecondsOf(app),
    Env: [...environment(app), ...linkVariables(app)],
    Labels: labelsFor(app, host, epoch),
    ExposedPorts: Object.fromEntries(published.map(({ container }) => [`${container}/tcp`, {}])),
    ...(health?.kind === 'container' && health.command !== undefined
      ? {
          Healthcheck: {
            Test: ['CMD', ...health.command],
            // The engine wants a millisecond at least.
            Interval: probeTimes(health).intervalMilliseconds * nanoseconds,
            Timeout: probeTimes(health).timeoutMilliseconds * nanoseconds,
          },
        }
      : {}),
    HostConfig: {
      NetworkMode: network,
      RestartPolicy: restartPolicy(app),
      ...(app.cpus === undefined ? {} : { NanoCpus: Math.round(app.cpus * 1e9) }),
      ...(app.memory === undefined ? {} : { Memory: app.memory }),
      ...(links.length > 0 && network !== 'host' ? { ExtraHosts: [`${hostAlias}:host-gateway`] } : {}),
      PortBindings: Object.fromEntries(
        published.map((port) => [`${port.container}/tcp`, [{ HostPort: String(hostPort(port)) }]]),
      ),
      // A source that is not there is refused, and not made, as it would be by `Binds`.
      Mounts: volumes.map(({ volume, path, readOnly = false }) => ({
        Type: 'bind' as const,
        Source: paths.get(volume) as string,
        Target: path,
        ReadOnly: readOnly,
      })),
    },
  }
}

function environment({ environment = {} }: Application): string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`)
}

/** As of `docker run --link`: the port that the application believes in leads to the proxy of the host that it runs on. */
function linkVariables({ links = [], network }: Application): string[] {
  const address = network === 'host' ? '127.0.0.1' : hostAlias
  return links.flatMap(({ alias, port, routePort }) => {
    const name = `${alias.toUpperCase().replaceAll('-', '_')}_PORT_${port}_TCP`
    return [
      `${name}=tcp://${address}:${routePort}`,
      `${name}_ADDR=${address}`,
      `${name}_PORT=${routePort}`,
      `${name}_PROTO=tcp`,
    ]
  })
}

/**
 * The engine starts again by itself, also when the machine starts, what has no volume. What has one is started by its host alone, which
 * knows whether it still owns the volume.
 */
function restartPolicy(app: Application): { Name: string } {
  const { restart = 'always' } = app
  if (restart === 'no' || primaryVolume(app) !== undefined) return { Name: 'no' }
  return { Name: restart === 'always' ? 'unless-stopped' : 'on-failure' }
}
