/** Asks all hosts of a cluster what they have. */
import { abortReason, TimeoutError } from '../errors.js'
import { compareTexts } from './canonical.js'
import type { ContainersHost, Member } from './context.js'
import { type DeploySide, LocalSide, RemoteSide } from './deploy-sides.js'
import type { HostState } from './deployment.js'

export interface Asked {
  /** Of each host that is named, and of each other one that this host was given the address of. */
  hosts: HostState[]
  /** Those that can be reached, by identity. */
  sides: ReadonlyMap<string, DeploySide>
}

/** @param named identities; a host among them that can't be reached, or does not answer in time, is unknown, as is any other such */
export async function askHosts(
  context: ContainersHost,
  named: readonly string[],
  { signal, answerMilliseconds }: { signal: AbortSignal; answerMilliseconds: number },
): Promise<Asked> {
  const members = await context.members(signal)
  const sides = new Map<string, DeploySide>([[context.identity, new LocalSide(context)]])
  // An agent of this host's that answers knows more than this process: it has the routes.
  for (const member of members)
    if ('peer' in member) sides.set(member.peer.identity, new RemoteSide(context, member.peer))
  const states = await Promise.all([...sides.values()].map((side) => stateOf(side, signal, answerMilliseconds)))
  const hosts = [...states, ...unreached(members, new Set(named.filter((identity) => !sides.has(identity))))]
  return { hosts: hosts.sort((a, b) => compareTexts(a.host, b.host)), sides }
}

async function stateOf(side: DeploySide, signal: AbortSignal, answerMilliseconds: number): Promise<HostState> {
  const deadline = AbortSignal.timeout(answerMilliseconds)
  const late = new TimeoutError(`It did not say within ${answerMilliseconds} ms what it has`)
  try {
    return await unlessAborted(side.state(AbortSignal.any([signal, deadline])), deadline, late)
  } catch (error) {
    if (signal.aborted) throw abortReason(signal, 'The deployment')
    return { host: side.identity, known: false, why: deadline.aborted ? sentence(late) : sentence(error) }
  }
}

/** What does not hear its signal is not waited for. */
async function unlessAborted<T>(running: Promise<T>, signal: AbortSignal, reason: Error): Promise<T> {
  const ended = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(reason), { once: true, signal: ended.signal })
  })
  try {
    return await Promise.race([running, stopped])
  } finally {
    ended.abort()
  }
}

/** Named hosts that nobody has answered for, and addresses at which somebody should have: who that is, is not known. */
function unreached(members: readonly Member[], missing: ReadonlySet<string>): HostState[] {
  const failed = members.flatMap((member) => ('why' in member ? [member] : []))
  const atNameOf = (address: string): string => address.replace(/:\d+$/, '')
  const named = [...missing].map((host): HostState => {
    const mine = failed.find(({ address }) => atNameOf(address) === host)
    const why = mine === undefined ? 'it is at none of the addresses that this host was given' : sentence(mine.why)
    return { host, known: false, why }
  })
  const others = failed.filter(({ address }) => !missing.has(atNameOf(address)))
  return [
    ...named,
    ...others.map(({ address, why }): HostState => ({ host: address, known: false, why: sentence(why) })),
  ]
}

function sentence(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
