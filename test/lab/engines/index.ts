/**
 * Docker, Podman and PostgreSQL in lab hosts. A host has their programs when it is opened with `engines: true`; images come from
 * what the lab has packed itself, so that no registry is needed.
 *
 * @module
 */
export { type DockerOptions, startDocker } from './docker.js'
export { Engine, type StoreOptions } from './engine.js'
export { startPodman } from './podman.js'
export { query, type Server, waitForPostgres } from './postgres.js'
