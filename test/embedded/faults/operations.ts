/** What is swept: operations that alpha runs with beta, each from a state of its own. */
import { randomBytes } from 'node:crypto'
import { FlockerError, type Host, type Peer, pullVolume, pushVolume, replicate } from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import { ensureParents } from '../../../src/replication/index.js'
import { createDisk, write } from '../trees.js'

export type Side = 'alpha' | 'beta'

/** What an operation came to. */
export interface Ended {
  /** Codes of the errors that it ended with; none where it went through. */
  codes: string[]
  messages: string[]
  /** Stream bytes, of what went through. */
  bytes: bigint
}

export interface RunOptions {
  stallMilliseconds?: number
}

type Run = (host: Host, peer: Peer, volume: string, options: RunOptions) => Promise<{ bytes: bigint; errors: Error[] }>

export interface Operation {
  name: string
  /** Where the data is. The other side is the destination. */
  source: Side
  content: 'disk' | 'tree'
  /**
   * What there is before: `nothing` on the destination; a `replica`, and changes since; a `part` of a stream that was cut, and changes
   * since its snapshot.
   */
  state: 'nothing' | 'replica' | 'part'
  run: Run
}

const push: Run = async (host, peer, volume, options) => ({
  ...(await pushVolume(await host.getVolume(volume), peer, options)),
  errors: [],
})

const pull: Run = async (_, peer, volume, options) => ({ ...(await pullVolume(volume, peer, options)), errors: [] })

const replicateTo: Run = async (host, peer, volume, options) => {
  const { bytes, outcomes } = await replicate(volume, { from: host, to: peer }, options)
  return { bytes, errors: outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : [])) }
}

const replicateFrom: Run = async (host, peer, volume, options) => {
  const { bytes, outcomes } = await replicate(volume, { from: peer, to: host }, options)
  return { bytes, errors: outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : [])) }
}

const disk = { content: 'disk' } as const
const tree = { content: 'tree' } as const

export const operations: readonly Operation[] = [
  { name: 'first push', source: 'alpha', ...disk, state: 'nothing', run: push },
  { name: 'push', source: 'alpha', ...disk, state: 'replica', run: push },
  { name: 'resumed push', source: 'alpha', ...disk, state: 'part', run: push },
  { name: 'first pull', source: 'beta', ...disk, state: 'nothing', run: pull },
  { name: 'pull', source: 'beta', ...disk, state: 'replica', run: pull },
  { name: 'resumed pull', source: 'beta', ...disk, state: 'part', run: pull },
  { name: 'replicate to', source: 'alpha', ...tree, state: 'replica', run: replicateTo },
  { name: 'replicate from', source: 'beta', ...tree, state: 'replica', run: replicateFrom },
]

/** Runs an operation over a connection of its own. */
export async function runOperation(
  host: Host,
  address: string,
  name: string,
  volume: string,
  options: RunOptions,
): Promise<Ended> {
  const { run } = operations.find((operation) => operation.name === name) as Operation
  try {
    await using peer = await host.connect(address)
    const { bytes, errors } = await run(host, peer, volume, options)
    return { bytes, ...failed(errors) }
  } catch (error) {
    return { bytes: 0n, ...failed([error as Error]) }
  }
}

function failed(errors: readonly Error[]): Pick<Ended, 'codes' | 'messages'> {
  const foreign = errors.find((error) => !(error instanceof FlockerError))
  if (foreign !== undefined) throw foreign
  return {
    codes: errors.map((error) => (error as FlockerError).code),
    messages: errors.map(({ message }) => message),
  }
}

const diskBytes = 2 * 1024 * 1024
/** How much of a disk changes: more than what a receive that breaks off may not have taken yet. */
export const changedBytes = diskBytes

/** Makes the content of an operation on the source. */
export async function createContent(host: Host, content: Operation['content'], volume: string): Promise<void> {
  const root = `${host.root}/${volume}`
  if (content === 'disk') {
    await host.createVolume(volume, { size: diskBytes })
    await lzc.writeVolume(root, 0n, randomBytes(changedBytes))
    return
  }
  await ensureParents(root, host.root)
  for (const dataset of [root, `${root}/a`]) await lzc.create(dataset, { properties: { canmount: 'off' } })
  await createDisk(`${root}/a/disk`, 1)
}

/** Changes it, a tree in all ways that lead to steps of their own. */
export async function changeContent(host: Host, content: Operation['content'], volume: string): Promise<void> {
  const root = `${host.root}/${volume}`
  if (content === 'disk') {
    await lzc.writeVolume(root, 0n, randomBytes(changedBytes))
    return
  }
  await lzc.rename(`${root}/a`, `${root}/moved`)
  await write(`${root}/moved/disk`, 512)
  await lzc.snapshot(`${root}/moved/disk@origin`)
  await lzc.clone(`${root}/moved/disk@origin`, `${root}/copy`)
}
