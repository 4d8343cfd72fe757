import { ContainerError } from '../errors.js'
import type { Application } from './application.js'
import type { ContainersHost } from './context.js'
import type { WireRoute } from './messages.js'
import { publishedPort } from './probe.js'

/**
 * Where clients find an application that runs on this host.
 * @throws ContainerError `ADDRESS_UNKNOWN`: this host does not know under which address others reach it
 */
export function routesOf({ address, identity }: ContainersHost, application: Application): WireRoute[] {
  const { routes = [], name } = application
  return routes.map((route) => {
    if (address === undefined) {
      throw new ContainerError(
        'ADDRESS_UNKNOWN',
        `${name} has routes, and ${identity} has no address for its clients`,
        {
          next: "Give openHost() one that the other hosts reach: { address }; or name it in the host's certificate.",
        },
      )
    }
    return { address: route.address, target: { host: address, port: publishedPort(application, route.port) } }
  })
}
