/**
 * In a host's process: numbers its steps, and stands still at one of them until the harness says go. Steps are calls that change a pool,
 * before each is made and when it is done; messages to the peer, and the frames that begin and end a stream; and what a replication
 * tells of itself.
 */
import { readSync, writeSync } from 'node:fs'
import { addon } from '../../../src/lzc/native.js'
import { onReplicationEvent } from '../../../src/replication/index.js'
import type { Carrier } from '../../../src/transport/carrier.js'
import { ControlLink } from '../../../src/transport/control.js'
import { FrameType } from '../../../src/transport/frames.js'
import { SessionCarrier } from '../../../src/transport/session-carrier.js'
import { SocketCarrier } from '../../../src/transport/socket-carrier.js'

/** The descriptor on which the harness is told that this process stands, and says how it goes on. */
const harness = 4

/** What is under way by name and occurrence, such as `before hold#2`: the same in each run, whatever else comes in between. */
export class Steps {
  #counts = new Map<string, number>()
  #seen: string[] = []
  #stopAt: string | undefined

  /** @param answer does what the harness says besides `g`, go on */
  constructor(private readonly answer: (word: string) => void) {}

  /** Counts anew, from now on. */
  begin(stopAt?: string): void {
    this.#counts = new Map()
    this.#seen = []
    this.#stopAt = stopAt
  }

  /** Stops nowhere any more; the steps there were. */
  end(): string[] {
    this.#stopAt = undefined
    return this.#seen
  }

  happens(what: string): void {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    const step = `${what}#${count}`
    this.#seen.push(step)
    if (step !== this.#stopAt) return
    this.#stopAt = undefined
    writeSync(harness, '!')
    const word = Buffer.alloc(1)
    if (readSync(harness, word) === 0) process.exit(1)
    if (word.toString() !== 'g') this.answer(word.toString())
  }
}

export const changing = [
  'create',
  'clone',
  'snapshot',
  'destroy',
  'destroySnapshots',
  'rename',
  'rollbackTo',
  'hold',
  'release',
  'closeHold',
  'bookmark',
  'destroyBookmarks',
  'setProperties',
  'inheritProperty',
  'channelProgram',
  'promote',
  'send',
  'receive',
]

type Call = (...words: unknown[]) => { result?: Promise<unknown> } & Promise<unknown>

/** Makes everything that this process does from now on tell of its steps. */
export function watchSteps(steps: Steps): void {
  const native = addon() as unknown as Record<string, Call>
  for (const name of changing) {
    const call = native[name]
    if (call === undefined) throw new Error(`the addon has no ${name}`)
    native[name] = (...words) => {
      steps.happens(`before ${name}`)
      const called = call(...words)
      void (called.result ?? called).then(() => steps.happens(`after ${name}`))
      return called
    }
  }

  const { send } = ControlLink.prototype
  ControlLink.prototype.send = function (message) {
    const what = message.type === 'request' ? message.method : ''
    if (message.type !== 'heartbeat') steps.happens(`say ${message.type} ${what}`.trim())
    return send.call(this, message)
  }

  watchFrames(SocketCarrier, steps)
  watchFrames(SessionCarrier, steps)

  onReplicationEvent(({ step }) => {
    if (step !== 'streamMoved') steps.happens(`tell ${step}`)
  })
}

/** Both kinds of connections tell of the frames that they are given. */
function watchFrames({ prototype }: { prototype: Carrier }, steps: Steps): void {
  const { write, writeData } = prototype
  prototype.write = function (frame, written) {
    const type = frame.readUInt32BE()
    const name = Object.entries(FrameType).find(([, value]) => value === type)?.[0]
    if (type !== FrameType.ALIVE && type !== FrameType.TAKEN) steps.happens(`frame ${name}`)
    write.call(this, frame, written)
  }
  const begun = new WeakSet<Carrier>()
  prototype.writeData = function (part, written) {
    if (!begun.has(this)) steps.happens('frame DATA')
    begun.add(this)
    writeData.call(this, part, written)
  }
}
