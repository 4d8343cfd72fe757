/** Whether this host could run an application of another's, as far as can be known before. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { FlockerError } from '../errors.js'
import { type Application, hostPort } from './application.js'
import type { ContainersHost } from './context.js'
import { ask, type Engine } from './engine.js'
import { findImage } from './images.js'
import { findOurs, isAlive } from './info.js'
import type { Problem } from './messages.js'

export interface Readiness {
  problems: Problem[]
  imageId: string | undefined
}

/**
 * @param mayTake whether the other host may give the volume of that name to this one; what it throws is a problem
 */
export async function checkHere(
  context: ContainersHost,
  application: Application,
  mayTake: (volume: string) => void,
  signal: AbortSignal,
): Promise<Readiness> {
  const found = new Problems()
  for (const { volume } of application.volumes ?? []) await found.of(async () => mayTake(volume))
  const engine = await found.of(() => context.engine(signal))
  if (engine === undefined) return { problems: found.problems, imageId: undefined }
  await found.of(() => checkName(context, engine, application, found, signal))
  await found.of(() => checkNetwork(engine, application, signal))
  await found.of(() => checkSize(engine, application, found, signal))
  for (const port of application.ports ?? []) await found.of(() => checkPort(hostPort(port), found))
  const image = await found.of(() => findImage(engine, application.image, { signal }))
  return { problems: found.problems, imageId: image?.id }
}

/** Gathers what is wrong, so that all of it can be said at once. */
class Problems {
  readonly problems: Problem[] = []

  add(code: string, message: string): void {
    this.problems.push({ code, message })
  }

  async of<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof FlockerError) || error.code === 'ABORTED') throw error
      this.add(error.code, error.message.slice(0, 2000))
      return undefined
    }
  }
}

async function checkName(
  { identity }: ContainersHost,
  engine: Engine,
  { name }: Application,
  found: Problems,
  signal: AbortSignal,
): Promise<void> {
  const container = await findOurs(engine, identity, name, { signal })
  if (container !== undefined && isAlive(container))
    found.add('CONTAINER_RUNNING', `${name} runs on ${identity} already`)
}

async function checkNetwork(engine: Engine, { network = 'bridge' }: Application, signal: AbortSignal): Promise<void> {
  if (network === 'host' || network === 'none') return
  await ask(`find the network ${network}`, { signal }, () => engine.docker.getNetwork(network).inspect())
}

async function checkSize(
  engine: Engine,
  { cpus = 0, memory = 0 }: Application,
  found: Problems,
  signal: AbortSignal,
): Promise<void> {
  const { NCPU, MemTotal } = (await ask('tell of its machine', { signal }, () => engine.docker.info())) as {
    NCPU: number
    MemTotal: number
  }
  if (cpus > NCPU) found.add('NO_SPACE', `it has ${NCPU} processors, and ${cpus} are to be used`)
  if (memory > MemTotal) found.add('NO_SPACE', `it has ${MemTotal} bytes of memory, and ${memory} are to be used`)
}

/** Whether a port of this host's is free. */
async function checkPort(port: number, found: Problems): Promise<void> {
  const server = createServer()
  try {
    server.listen(port)
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    found.add(code === 'EADDRINUSE' ? 'PORT_IN_USE' : 'PORT_DENIED', `its port ${port} can't be used: ${code}`)
  } finally {
    server.close()
  }
}
