/**
 * A fault injector, to be loaded before a program (NODE_OPTIONS=--require): numbers every call that changes a pool, before it is made
 * and when it is done, and every message to a peer; ends the process with SIGKILL at the one that KILL_AT names. KILL_LIST is a
 * file that gets all of their names.
 */
import { appendFileSync } from 'node:fs'
import { addon } from '../../src/lzc/native.js'
import { ControlLink } from '../../src/transport/control.js'

const at = Number(process.env.KILL_AT ?? Number.NaN)
const list = process.env.KILL_LIST
let count = 0

function happens(what: string): void {
  if (list !== undefined) appendFileSync(list, `${what}\n`)
  if (count++ === at) process.kill(process.pid, 'SIGKILL')
}

const changing = [
  'create',
  'snapshot',
  'destroy',
  'destroySnapshots',
  'rename',
  'rollbackTo',
  'hold',
  'release',
  'closeHold',
]
const alsoChanging = ['bookmark', 'destroyBookmarks', 'setProperties', 'inheritProperty', 'send', 'receive']

type Call = (...words: unknown[]) => { result?: Promise<unknown> } & Promise<unknown>
const native = addon() as unknown as Record<string, Call>
for (const name of [...changing, ...alsoChanging]) {
  const call = native[name]
  if (call === undefined) throw new Error(`the addon has no ${name}`)
  native[name] = (...words) => {
    happens(`before ${name}`)
    const called = call(...words)
    void (called.result ?? called).then(() => happens(`after ${name}`))
    return called
  }
}

const { send } = ControlLink.prototype
ControlLink.prototype.send = function (message) {
  if (message.type !== 'heartbeat') happens(`say ${message.type}`)
  return send.call(this, message)
}
