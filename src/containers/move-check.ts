/** What is done before a move stops anything: whether the peer could run the application, and what it lacks for it. */
import { ArgumentError, ContainerError } from '../errors.js'
import type { Peer } from '../replication/index.js'
import { type Application, parseApplication } from './application.js'
import { findImage, requireImage } from './images.js'
import { checkApplication } from './messages.js'
import type { MoveOptions } from './move-options.js'
import type { Move } from './move-parts.js'
import { havePulled, sendImage } from './send-image.js'

const defaultClock = 60_000

/** As what it is to run there. @throws ArgumentError */
export function wantedOf(application: Application, { as = application }: Pick<MoveOptions, 'as'>): Application {
  const wanted = parseApplication(as)
  const volumes = ({ volumes = [] }: Application): string => volumes.map(({ volume }) => volume).join(' ')
  if (wanted.name === application.name && volumes(wanted) === volumes(application)) return wanted
  throw new ArgumentError(`${application.name} is to be moved as something else: with another name or other volumes`)
}

/** Checks and brings what can be checked and brought while the application runs. @returns bytes of the image that were sent */
export async function prepare({
  engine,
  peer,
  wanted: application,
  imageId: known,
  options,
  phases,
}: Pick<Move, 'engine' | 'peer' | 'wanted' | 'options' | 'phases'> & {
  imageId: string | undefined
}): Promise<bigint> {
  const { signal, image = 'stream' } = options
  const imageId = await phases.run('check', signal, () => checkPeer(peer, application, options))
  const here = known ?? (await findImage(engine, application.image, { signal }))?.id
  if (here !== undefined) await requireImage(engine, here, peer.host.identity, { signal })
  return phases.run('image', signal, async () => {
    if (imageId !== undefined && (here === undefined || imageId === here)) return 0n
    if (image === 'stream' && here !== undefined) return sendImage(engine, peer, application, signal)
    if (image === 'pull') await havePulled(peer, application, here, signal)
    else {
      throw new ContainerError('IMAGE_MISSING', `${peer.identity} lacks the image ${application.image}`, {
        peer: peer.identity,
        next: "Load it there; or have this host's sent: { image: 'stream' }.",
      })
    }
    return 0n
  })
}

/** @returns the ID of the image of that name there @throws ContainerError `DESTINATION_UNREADY`, `CLOCK_DIFFERS` */
async function checkPeer(
  peer: Peer,
  application: Application,
  { signal, clockMilliseconds = defaultClock }: MoveOptions,
): Promise<string | undefined> {
  const asked = Date.now()
  const { problems, imageId, now } = await peer.connection.request(
    checkApplication,
    { application },
    signal && { signal },
  )
  const answered = Date.now()
  if (problems.length > 0) {
    const [first] = problems
    throw new ContainerError(
      'DESTINATION_UNREADY',
      `${peer.identity} can't run ${application.name}: ${problems.map(({ code, message }) => `${message} [${code}]`).join('; ')}`,
      { peer: peer.identity, ...(first?.code === 'NOT_AUTHORIZED' ? { next: 'Its rules must allow it.' } : {}) },
    )
  }
  const off = now < asked ? asked - now : Math.max(0, now - answered)
  if (off > clockMilliseconds) {
    throw new ContainerError('CLOCK_DIFFERS', `The clocks of ${peer.identity} and this host differ by ${off} ms`, {
      peer: peer.identity,
      next: 'Set them; or say how much they may differ: { clockMilliseconds }.',
    })
  }
  return imageId
}
