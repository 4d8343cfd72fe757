/** A host that takes part in a deployment: this one, or one that is asked over the wire. */
import { ContainerError, type FlockerError, TransportError } from '../errors.js'
import type { Peer } from '../replication/index.js'
import type { Application } from './application.js'
import type { ContainersHost } from './context.js'
import type { KnownHost, KnownVolume, RunningApplication } from './deployment.js'
import { limitVolume, makeVolume, mostTold, readHost } from './deployment-messages.js'
import { readHostState } from './host-state.js'
import { findImage, pullIfMissing } from './images.js'
import { removeContainer } from './lifecycle.js'
import { checkApplication, pullApplicationImage, removeApplication, startApplication } from './messages.js'
import { type RequestMoveOptions, requestMove } from './request-move.js'
import { sendImage } from './send-image.js'
import { moveFrom, startHere } from './serve.js'
import { createHere, type NewVolume, resizeHere } from './volume-actions.js'

/** How an application is started by a deployment. */
export interface StartOptions {
  signal: AbortSignal
  readyMilliseconds: number
  /** Stop what runs by that name. */
  replace: boolean
  image: 'stream' | 'pull' | 'require'
}

export interface DeploySide {
  readonly identity: string
  state(signal: AbortSignal): Promise<KnownHost>
  create(volume: NewVolume, signal: AbortSignal): Promise<void>
  resize(volume: string, size: bigint, signal: AbortSignal): Promise<void>
  remove(application: string, signal: AbortSignal): Promise<void>
  /** Resolves once it is ready. */
  start(application: Application, options: StartOptions): Promise<void>
  move(name: string, to: string, options: RequestMoveOptions): Promise<void>
}

export class LocalSide implements DeploySide {
  constructor(private readonly context: ContainersHost) {}

  get identity(): string {
    return this.context.identity
  }

  async state(signal: AbortSignal): Promise<KnownHost> {
    return readHostState(this.context, signal)
  }

  async create(volume: NewVolume): Promise<void> {
    await createHere(this.context, volume)
  }

  async resize(volume: string, size: bigint): Promise<void> {
    await resizeHere(this.context, volume, size)
  }

  async remove(application: string, signal: AbortSignal): Promise<void> {
    await removeContainer(this.context, application, { signal, stop: true })
  }

  async start(application: Application, { image, ...options }: StartOptions): Promise<void> {
    const { signal } = options
    if (image === 'pull') await pullIfMissing(await this.context.engine(signal), application.image, { signal })
    await startHere(this.context, application, options)
  }

  async move(name: string, to: string, options: RequestMoveOptions): Promise<void> {
    await moveFrom(this.context, name, to, options)
  }
}

export class RemoteSide implements DeploySide {
  constructor(
    private readonly context: ContainersHost,
    private readonly peer: Peer,
  ) {}

  get identity(): string {
    return this.peer.identity
  }

  async state(signal: AbortSignal): Promise<KnownHost> {
    const applications: RunningApplication[] = []
    const volumes: KnownVolume[] = []
    const foreign: string[] = []
    const others: string[] = []
    let heard = 0
    const { told } = await this.peer.connection.request(
      readHost,
      {},
      {
        signal,
        onEvent: (event) => {
          if (++heard > mostTold) return
          if (event.kind === 'application') applications.push(event.application)
          else if (event.kind === 'volume') volumes.push({ ...event.volume, size: event.volume.size })
          else (event.kind === 'foreign' ? foreign : others).push(event.name)
        },
      },
    )
    if (heard !== told || heard > mostTold) throw unheard(this.identity, heard, told)
    return { host: this.identity, known: true, applications, volumes, foreign, others }
  }

  async create(volume: NewVolume, signal: AbortSignal): Promise<void> {
    const { properties, metadata, ...rest } = volume
    const more = {
      ...(properties === undefined ? {} : { properties: { ...properties } }),
      ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    }
    await this.peer.connection.request(makeVolume, { ...rest, ...more }, { signal })
  }

  async resize(volume: string, size: bigint, signal: AbortSignal): Promise<void> {
    await this.peer.connection.request(limitVolume, { volume, size }, { signal })
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.peer.connection.request(removeApplication, { name }, { signal })
  }

  async start(application: Application, { image, ...options }: StartOptions): Promise<void> {
    const { signal, replace, readyMilliseconds } = options
    const { name } = application
    if (image !== 'require') await this.#bringImage(application, image, signal)
    await this.peer.connection.request(startApplication, { name, application, replace, readyMilliseconds }, { signal })
  }

  async move(name: string, to: string, options: RequestMoveOptions): Promise<void> {
    await requestMove(name, this.peer, to, options)
  }

  /** What is missing there is sent, if this host has it; whatever else is wrong is said by the start. */
  async #bringImage(application: Application, image: 'stream' | 'pull', signal: AbortSignal): Promise<void> {
    const { connection } = this.peer
    const { imageId } = await connection.request(checkApplication, { application }, { signal })
    if (imageId !== undefined) return
    if (image === 'pull') {
      await connection.request(pullApplicationImage, { name: application.name, image: application.image }, { signal })
      return
    }
    if (!this.context.keeps) return
    const engine = await this.context.engine(signal)
    if ((await findImage(engine, application.image, { signal })) === undefined) {
      throw new ContainerError(
        'IMAGE_MISSING',
        `Neither ${this.identity} nor ${this.context.identity} has the image ${application.image}`,
        {
          peer: this.identity,
          next: "Load it on one of them; or have it fetched from its registry: { image: 'pull' }.",
        },
      )
    }
    await sendImage(engine, this.peer, application, signal)
  }
}

function unheard(peer: string, heard: number, told: number): FlockerError {
  return new TransportError('PROTOCOL', `${peer} told of ${told} things that it has, and ${heard} were heard of`, {
    peer,
  })
}
