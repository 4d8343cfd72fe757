/**
 * Two hosts, a volume, and all that can happen: writes, handoffs driven from either end, crashes of processes and of machines between
 * any two writes, messages that are lost or late, connections that break, promotions with a fence. What a host makes of each is decided
 * by the functions of src/volumes/ownership.ts; this model only carries it out, one write at a time.
 */
import { OwnershipError } from '../../src/errors.js'
import {
  ask,
  dutyOf,
  finish,
  freeze,
  learn,
  type Ownership,
  promote,
  release,
  type Standing,
  take,
  thaw,
} from '../../src/volumes/ownership.js'

export type HostName = 'a' | 'b'
export const hosts: readonly HostName[] = ['a', 'b']
export const other = (host: HostName): HostName => (host === 'a' ? 'b' : 'a')

/** What a process is at; it is forgotten when that dies. */
type Driver =
  | { kind: 'idle' }
  /** Gives: frozen, out of service, with what the taker has confirmed, released, heard. */
  | { kind: 'giving'; handoff: string; at: 'frozen' | 'stopped' | 'pushed' }
  | { kind: 'giving'; handoff: string; at: 'released' | 'told'; epoch: bigint; guid: number }
  /** Takes: has asked for the freeze, was told that it is frozen, has the last snapshot, has noted it, has asked for the release. */
  | { kind: 'taking'; handoff: string; at: 'asked' | 'frozen' | 'pulled' | 'noted' | 'requested' | 'taken' }

interface Host {
  /** Durable. */
  standing: Standing
  /** Durable: how much of what was written is in its head, and in its newest snapshot. */
  head: number
  snapshot: number
  /** Whether it is writable and mounted: until the machine stops, whatever becomes of the process. */
  serving: boolean
  /** Whether its process runs. */
  up: boolean
  driver: Driver
  /** The handoff for which it has been frozen by the other, over a connection that this process has. */
  frozenFor: string
  /** It is about to take it out of service for that. */
  stopping: boolean
  /** It was promoted or made the owner, or has kept the volume, and is about to serve it. */
  toServe: boolean
  /** It has learned that it is not the owner, and is about to stop. */
  toStop: boolean
}

/** A request under way. It may arrive after its sender has died, not after its receiver has. */
type Message = { to: HostName } & (
  | { kind: 'take'; epoch: bigint; guid: number }
  | { kind: 'freeze'; handoff: string }
  | { kind: 'release'; handoff: string; guid: number }
  | { kind: 'thaw'; handoff: string }
)

export interface World {
  a: Host
  b: Host
  messages: Message[]
  /** Writes that were acknowledged to whoever uses the volume. */
  acknowledged: number
  /** What may still happen, so that the worlds are finite. */
  left: { writes: number; handoffs: number; crashes: number; promotions: number; losses: number }
  handoffs: number
  /** A promotion gives up what the owner had not sent. */
  promoted: boolean
}

const owner = (host: HostName, epoch: bigint): Ownership => ({ host, epoch })

export function start(left: World['left']): World {
  const fresh = (serving: boolean): Host => ({
    standing: { owner: owner('a', 1n) },
    head: 0,
    snapshot: 0,
    serving,
    up: true,
    driver: { kind: 'idle' },
    frozenFor: '',
    stopping: false,
    toServe: false,
    toStop: false,
  })
  return { a: fresh(true), b: fresh(false), messages: [], acknowledged: 0, left, handoffs: 0, promoted: false }
}

const text = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value)
export const keyOf = (world: World): string => JSON.stringify(world, text)

/** What follows from a world, each by what has happened. */
export function* successors(world: World): Generator<{ event: string; world: World }> {
  for (const name of hosts) {
    for (const [event, change] of eventsOf(world, name)) {
      const next = structuredClone(world)
      try {
        change(next, next[name], next[other(name)])
      } catch (error) {
        if (error instanceof OwnershipError) continue
        throw error
      }
      yield { event: `${name}: ${event}`, world: next }
    }
  }
  for (const [i, message] of world.messages.entries()) {
    const arrived = structuredClone(world)
    arrived.messages.splice(i, 1)
    if (arrived[message.to].up) {
      deliver(arrived, message)
      yield { event: `${message.to} is asked to ${message.kind}`, world: arrived }
    }
    if (world.left.losses === 0) continue
    const lost = structuredClone(world)
    lost.messages.splice(i, 1)
    lost.left.losses--
    yield { event: `a request to ${message.kind} is lost`, world: lost }
  }
}

type Change = (world: World, host: Host, peer: Host) => void

function* eventsOf(world: World, name: HostName): Generator<[string, Change]> {
  const host = world[name]
  const peer = world[other(name)]
  const { left } = world
  if (host.serving && left.writes > 0) {
    yield [
      'writes',
      (next, own) => {
        own.head = ++next.acknowledged
        next.left.writes--
      },
    ]
  }
  if (left.crashes > 0 && host.up) {
    yield ['its process dies', (next) => crash(next, name, false)]
    yield ['its machine stops', (next) => crash(next, name, true)]
  }
  if (!host.up) {
    yield ['starts', (_, own) => restart(own, name)]
    // The fence: its owner's machine is off, and comes up through here.
    if (
      left.promotions > 0 &&
      peer.up &&
      !host.serving &&
      host.standing.owner.host === name &&
      peer.driver.kind === 'idle'
    )
      yield ['is fenced, and the other is promoted', (next) => promoteOther(next, other(name))]
    return
  }
  if (host.toStop) yield ['stops serving', (_, own) => Object.assign(own, { serving: false, toStop: false })]
  if (host.toServe) yield ['serves', (_, own) => putIntoService(own, name)]
  if (host.stopping) yield ['stops for the other', (next, own) => stopForOther(next, own, name)]
  yield* driverEvents(world, name)
  if (host.driver.kind === 'idle' && !host.toServe && !host.toStop && !host.stopping) yield* recoveryEvents(world, name)
}

function* driverEvents(world: World, name: HostName): Generator<[string, Change]> {
  const { driver, standing, serving } = world[name]
  const peer = world[other(name)]
  const may = world.left.handoffs > 0 && peer.up
  if (driver.kind === 'idle' && may && serving && standing.journal === undefined && !world[name].stopping) {
    yield ['begins to give', (next, own) => beginGiving(next, own, name)]
  }
  if (driver.kind === 'idle' && may && standing.owner.host === other(name) && standing.journal === undefined) {
    yield ['begins to take', (next, own) => beginTaking(next, own, name)]
  }
  if (driver.kind === 'giving') {
    const { at, handoff } = driver
    if (at === 'frozen')
      yield ['stops', (_, own) => Object.assign(own, { serving: false, driver: { ...driver, at: 'stopped' } })]
    if (at === 'stopped' && peer.up) yield ['pushes the rest', (_, own, to) => pushRest(own, to, driver)]
    if (at === 'pushed') {
      yield [
        'commits',
        (_, own) => {
          own.standing = release(own.standing, name, handoff, BigInt(own.snapshot))
          own.driver = { ...driver, at: 'released', epoch: own.standing.owner.epoch, guid: own.snapshot }
        },
      ]
    }
    if (at === 'released' || at === 'told') {
      yield [
        'tells the taker',
        (next, own) => {
          send(next, { to: other(name), kind: 'take', epoch: driver.epoch, guid: driver.guid })
          own.driver = { ...driver, at: 'told' }
        },
      ]
    }
    if (at === 'told' && peer.up && peer.standing.owner.host === other(name)) {
      yield ['hears that the taker knows', (_, own) => endGiving(own, handoff)]
    }
    if (at === 'frozen' || at === 'stopped' || at === 'pushed') {
      yield ['gives up', (_, own) => keep(own, name, handoff)]
    }
  }
  if (driver.kind === 'taking') yield* takingEvents(world, name, driver)
  // It was frozen for the other, whose connection is lost.
  const { frozenFor } = world[name]
  if (frozenFor !== '') {
    yield [
      'loses the connection of who takes',
      (_, own) => {
        own.frozenFor = ''
        keepFor(own, name, frozenFor)
      },
    ]
  }
}

function* takingEvents(
  world: World,
  name: HostName,
  driver: Extract<Driver, { kind: 'taking' }>,
): Generator<[string, Change]> {
  const peer = world[other(name)]
  const { at, handoff } = driver
  const frozen = peer.up && peer.standing.journal?.handoff === handoff && !peer.serving && !peer.stopping
  if (at === 'asked' && frozen)
    yield ['hears that it is frozen', (_, own) => (own.driver = { ...driver, at: 'frozen' })]
  if (at === 'frozen' && peer.up && world[name].standing.owner.host !== name) {
    yield [
      'pulls the rest',
      (_, own, from) => {
        from.snapshot = from.head
        Object.assign(own, { head: from.head, snapshot: from.head, driver: { ...driver, at: 'pulled' } })
      },
    ]
  }
  if (at === 'pulled') {
    yield [
      'notes that it asks',
      (_, own) => {
        own.standing = ask(own.standing, name, other(name), handoff, BigInt(own.snapshot))
        own.driver = { ...driver, at: 'noted' }
      },
    ]
  }
  if (at === 'noted' || at === 'requested') {
    yield [
      'asks for the release',
      (next, own) => {
        send(next, { to: other(name), kind: 'release', handoff, guid: own.snapshot })
        own.driver = { ...driver, at: 'requested' }
      },
    ]
  }
  if (at === 'requested' && peer.up && peer.standing.owner.host === name) {
    yield ['hears that it is released', (_, own, from) => becomeOwner(own, name, from.standing.owner.epoch)]
  }
  if (at !== 'requested' && peer.up) {
    yield [
      'gives up',
      (next, own) => {
        send(next, { to: other(name), kind: 'thaw', handoff })
        own.standing = finish(own.standing, handoff)
        own.driver = { kind: 'idle' }
      },
    ]
  }
  if (at === 'requested' && peer.up) yield ['asks how it ended', (_, own, from) => askHow(own, from, name, handoff)]
}

/** What a process that is at nothing does, with the other's help, about what it finds in its pool. */
function* recoveryEvents(world: World, name: HostName): Generator<[string, Change]> {
  const host = world[name]
  const peer = world[other(name)]
  const duty = dutyOf(host.standing, name)
  if (duty.kind === 'follow' && host.serving) yield ['finds that it has a replica', (_, own) => (own.toStop = true)]
  if (!peer.up) return
  if (duty.kind === 'tell') {
    yield [
      'tells once more',
      (_, own, to) => {
        tell(to, other(name), own.standing.owner.epoch, Number(duty.journal.guid), name)
        own.standing = finish(own.standing, duty.journal.handoff)
        hear(own, to, name)
      },
    ]
  }
  if (duty.kind === 'ask') yield ['asks once more', (_, own, from) => askHow(own, from, name, duty.journal.handoff)]
  if (duty.kind === 'keep' || (duty.kind === 'serve' && !host.serving)) {
    yield [
      'makes sure that nobody was promoted',
      (_, own, to) => {
        hear(own, to, name)
        if (own.standing.owner.host !== name) return
        own.standing = thaw(own.standing, name)
        own.toServe = true
      },
    ]
  }
  if (peer.standing.owner.epoch > host.standing.owner.epoch && peer.standing.owner.host === other(name)) {
    yield ['hears the claim of the owner', (_, own, to) => hear(own, to, name)]
  }
}

/** A process forgets all but what is in its pool. */
const dead = {
  up: false,
  driver: { kind: 'idle' },
  frozenFor: '',
  stopping: false,
  toServe: false,
  toStop: false,
} as const

function crash(world: World, name: HostName, machine: boolean): void {
  const host = world[name]
  world.left.crashes--
  Object.assign(host, dead)
  if (machine) host.serving = false
  world.messages = world.messages.filter(({ to }) => to !== name)
}

/** Before anything else a host makes sure that it does not serve what another owns. */
function restart(host: Host, name: HostName): void {
  host.up = true
  const { kind } = dutyOf(host.standing, name)
  if (host.serving && kind !== 'serve' && kind !== 'keep') host.toStop = true
}

function putIntoService(host: Host, name: HostName): void {
  host.toServe = false
  if (host.standing.owner.host === name && host.standing.journal === undefined) host.serving = true
}

function promoteOther(world: World, name: HostName): void {
  const host = world[name]
  host.standing = promote(host.standing, name)
  host.head = host.snapshot
  host.toServe = true
  world.left.promotions--
  world.promoted = true
}

function beginGiving(world: World, host: Host, name: HostName): void {
  const handoff = `h${++world.handoffs}`
  world.left.handoffs--
  host.standing = freeze(host.standing, name, other(name), handoff)
  host.driver = { kind: 'giving', handoff, at: 'frozen' }
}

function pushRest(host: Host, to: Host, driver: Extract<Driver, { kind: 'giving' }>): void {
  if (to.standing.owner.host !== host.standing.owner.host) throw new OwnershipError('STALE_EPOCH', 'refused')
  host.snapshot = host.head
  to.snapshot = to.head = host.snapshot
  host.driver = { ...driver, at: 'pushed' }
}

function endGiving(host: Host, handoff: string): void {
  host.standing = finish(host.standing, handoff)
  host.driver = { kind: 'idle' }
}

function keep(host: Host, name: HostName, handoff: string): void {
  const kept = thaw(host.standing, name, handoff)
  if (kept !== host.standing) host.toServe = true
  host.standing = kept
  host.stopping = false
  host.driver = { kind: 'idle' }
}

/** As {@link keep}, for a handoff that the other drives. */
function keepFor(host: Host, name: HostName, handoff: string): void {
  const kept = thaw(host.standing, name, handoff)
  if (kept !== host.standing) Object.assign(host, { standing: kept, toServe: true, stopping: false })
}

function beginTaking(world: World, host: Host, name: HostName): void {
  const handoff = `h${++world.handoffs}`
  world.left.handoffs--
  host.driver = { kind: 'taking', handoff, at: 'asked' }
  send(world, { to: other(name), kind: 'freeze', handoff })
}

function stopForOther(_: World, host: Host, name: HostName): void {
  host.stopping = false
  if (host.standing.journal?.kind === 'giving' && host.standing.owner.host === name) host.serving = false
}

function becomeOwner(host: Host, name: HostName, epoch: bigint): void {
  host.standing = take(host.standing, name, { epoch, guid: BigInt(host.snapshot) }, BigInt(host.snapshot))
  host.driver = { kind: 'idle' }
  if (host.standing.journal === undefined && !host.serving) host.toServe = true
}

function askHow(host: Host, from: Host, name: HostName, handoff: string): void {
  const giver = other(name)
  keepFor(from, giver, handoff)
  if (from.standing.owner.host === name) {
    becomeOwner(host, name, from.standing.owner.epoch)
    return
  }
  hear(host, from, name)
  host.standing = finish(host.standing, handoff)
  host.driver = { kind: 'idle' }
}

function hear(host: Host, from: Host, name: HostName): void {
  const verdict = learn(host.standing, name, from.standing.owner)
  if (verdict.kind !== 'learned') return
  host.standing = verdict.standing
  // What it has not sent is kept under another name.
  host.head = host.snapshot = Math.min(host.snapshot, from.snapshot)
  if (host.serving) host.toStop = true
}

function tell(host: Host, name: HostName, epoch: bigint, guid: number, from: HostName): void {
  const again = host.standing.owner.host === name && host.standing.owner.epoch === epoch
  if (host.standing.owner.host !== from && !again && host.standing.owner.epoch < epoch) return
  try {
    const before = host.standing
    host.standing = take(before, name, { epoch, guid: BigInt(guid) }, BigInt(host.snapshot))
    if (host.standing !== before && host.standing.journal === undefined && !host.serving) host.toServe = true
  } catch (error) {
    if (!(error instanceof OwnershipError)) throw error
  }
}

function deliver(world: World, message: Message): void {
  const host = world[message.to]
  const from = other(message.to)
  try {
    if (message.kind === 'take') tell(host, message.to, message.epoch, message.guid, from)
    else if (message.kind === 'freeze') {
      host.standing = freeze(host.standing, message.to, from, message.handoff)
      host.stopping = true
      host.frozenFor = message.handoff
    } else if (message.kind === 'thaw') {
      keepFor(host, message.to, message.handoff)
    } else if (!host.stopping && host.snapshot === message.guid && host.head === host.snapshot) {
      host.standing = release(host.standing, message.to, message.handoff, BigInt(message.guid), true)
    }
  } catch (error) {
    if (!(error instanceof OwnershipError)) throw error
  }
}

/** One of each kind under way is as good as many. */
function send(world: World, message: Message): void {
  if (!world.messages.some((each) => JSON.stringify(each, text) === JSON.stringify(message, text)))
    world.messages.push(message)
}

/** Restarts both processes, and lets them settle everything: no more faults. */
export function heal(world: World): World {
  const next = structuredClone(world)
  next.messages = []
  next.left = { writes: 0, handoffs: 0, crashes: 0, promotions: 0, losses: 0 }
  for (const name of hosts) {
    Object.assign(next[name], dead)
    restart(next[name], name)
  }
  return next
}
