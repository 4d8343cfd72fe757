/** Brings an application's image to a peer that lacks it. */
import { ContainerError } from '../errors.js'
import type { Peer } from '../replication/index.js'
import type { Application } from './application.js'
import type { Engine } from './engine.js'
import { saveImage } from './images.js'
import { loadApplicationImage, pullApplicationImage } from './messages.js'

/** Sends the image that this host has. @returns the bytes sent */
export async function sendImage(
  engine: Engine,
  peer: Peer,
  { name, image }: Application,
  signal: AbortSignal | undefined,
): Promise<bigint> {
  const { connection } = peer
  const stop = new AbortController()
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let admit: (ticket: string) => void
  const welcome = new Promise<string>((resolve) => {
    admit = resolve
  })
  const outcome = connection.request(
    loadApplicationImage,
    { name, image },
    { signal: both, onEvent: ({ ticket }) => admit(ticket) },
  )
  const send = async (): Promise<bigint> => {
    const ticket = await Promise.race([welcome, outcome.then(() => '')])
    if (ticket === '') return 0n
    const archive = await saveImage(engine, image, { signal: both })
    try {
      const channel = await connection.openData(ticket, { signal: both })
      return await channel.send(archive, { signal: both })
    } catch (error) {
      archive.destroy()
      stop.abort(error)
      throw error
    }
  }
  const [sent, ended] = await Promise.allSettled([send(), outcome])
  // Why the peer has given up says more than that the connection has ended.
  if (ended.status === 'rejected' && !stop.signal.aborted) throw ended.reason
  if (sent.status === 'rejected') throw sent.reason
  return sent.value
}

/** Has the peer fetch it. @param imageId which one it must be, if that matters @throws ContainerError `IMAGE_MISSING`: also where its registry has another of that name */
export async function havePulled(
  peer: Peer,
  { name, image }: Application,
  imageId: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pulled = await peer.connection.request(pullApplicationImage, { name, image }, signal && { signal })
  if (imageId === undefined || pulled.imageId === imageId) return
  throw new ContainerError('IMAGE_MISSING', `${peer.identity} has fetched another image of the name ${image}`, {
    peer: peer.identity,
    next: "Give the application its image by digest; or have this host's sent: { image: 'stream' }.",
  })
}
