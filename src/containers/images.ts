/** Images: whether one is there, fetched from a registry, or taken from one engine to another as `docker save` and `docker load` do. */
import type { Readable, Writable } from 'node:stream'
import { PassThrough } from 'node:stream'
import { ContainerError, throwIfAborted } from '../errors.js'
import { ask, type Engine, type EngineCall, refusedWith } from './engine.js'

/** An image that is there. */
export interface ImageInfo {
  /** `sha256:...`, the same wherever the image is. */
  id: string
  /** What it takes up, in bytes. */
  bytes: number
}

/** How long an image may take to come from a registry, or to be loaded, in milliseconds, unless the caller says otherwise. */
const transferMilliseconds = 30 * 60_000

/** @returns `undefined` where there is no such image */
export async function findImage(engine: Engine, image: string, call: EngineCall = {}): Promise<ImageInfo | undefined> {
  try {
    const { Id, Size } = await ask(`look at the image ${image}`, call, () => engine.docker.getImage(image).inspect())
    return { id: Id, bytes: Size }
  } catch (error) {
    if (refusedWith(error) === 404) return undefined
    throw error
  }
}

/** @throws ContainerError `IMAGE_MISSING` */
export async function requireImage(engine: Engine, image: string, host: string, call: EngineCall): Promise<ImageInfo> {
  const found = await findImage(engine, image, call)
  if (found !== undefined) return found
  throw new ContainerError('IMAGE_MISSING', `${host} has no image ${image}`, {
    next: 'Fetch or load it there, or allow that it is fetched from its registry: { pull: true }.',
  })
}

/**
 * Fetches an image from its registry.
 * @throws ContainerError `IMAGE_MISSING`: it could not be fetched
 */
async function pullImage(engine: Engine, image: string, { signal, timeoutMilliseconds }: EngineCall): Promise<void> {
  const { docker } = engine
  const reference = /[:@][^/]*$/.test(image) ? image : `${image}:latest`
  const call = { signal, timeoutMilliseconds: timeoutMilliseconds ?? transferMilliseconds }
  try {
    await ask(`fetch the image ${image}`, call, async (abortSignal) => {
      const progress = (await docker.pull(reference, { abortSignal })) as Readable
      await followProgress(engine, progress, abortSignal)
    })
  } catch (cause) {
    throwIfAborted(signal, `Fetching the image ${image}`)
    throw new ContainerError('IMAGE_MISSING', `The image ${image} could not be fetched: ${(cause as Error).message}`, {
      cause,
      next: 'See whether the engine reaches its registry; or load the image with: docker load.',
    })
  }
}

/** As {@link pullImage}, unless it is there. */
export async function pullIfMissing(engine: Engine, image: string, call: EngineCall): Promise<void> {
  if ((await findImage(engine, image, call)) === undefined) await pullImage(engine, image, call)
}

/** An image as `docker save` writes it: a tar archive. Destroy it to end it early. */
export async function saveImage(engine: Engine, image: string, call: EngineCall = {}): Promise<Readable> {
  const saved = await ask(`save the image ${image}`, call, () => engine.docker.getImage(image).get())
  return saved as Readable
}

/** Where {@link loadImage} takes an archive. */
export interface ImageSink {
  archive: Writable
  /** Resolves once the engine has the image. */
  loaded: Promise<void>
}

/**
 * Loads an archive that {@link saveImage} made.
 * @throws ContainerError `ENGINE_FAILED`: it is not an image
 */
export function loadImage(engine: Engine, { signal, timeoutMilliseconds }: EngineCall = {}): ImageSink {
  const archive = new PassThrough()
  const call = { signal, timeoutMilliseconds: timeoutMilliseconds ?? transferMilliseconds }
  const loaded = ask('load an image', call, async (abortSignal) => {
    const progress = (await engine.docker.loadImage(archive, { quiet: true })) as Readable
    await followProgress(engine, progress, abortSignal)
  })
  // What ends the request ends what feeds it.
  loaded.catch((error) => archive.destroy(error))
  return { archive, loaded }
}

/** The engine answers at once, and says in its progress whether it succeeds. */
async function followProgress({ docker }: Engine, progress: Readable, signal: AbortSignal): Promise<void> {
  const stop = (): void => void progress.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      progress.once('error', reject)
      docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()))
    })
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
