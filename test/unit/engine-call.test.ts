import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ask } from '../../src/containers/engine.js'

test('the deadline of a request to the engine ends with its answer, and not the stream that it has answered with', async () => {
  let given = new AbortController().signal
  const keep = async (signal: AbortSignal): Promise<void> => {
    given = signal
  }
  await ask('tell of its events', { timeoutMilliseconds: 20 }, keep)
  await wait(60)
  assert.not(given.aborted)
  const caller = new AbortController()
  await ask('tell of its events', { signal: caller.signal }, keep)
  caller.abort()
  assert.not(given.aborted)
})

test('without an answer it ends the request, as its caller may', async () => {
  const never = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const codeOf = async (call: Parameters<typeof ask>[1]): Promise<string> =>
    ask('start', call, never).catch((error) => error.code)
  assert.is(await codeOf({ timeoutMilliseconds: 20 }), 'TIMEOUT')
  const caller = new AbortController()
  setTimeout(() => caller.abort(), 20)
  assert.is(await codeOf({ signal: caller.signal }), 'ABORTED')
})

test.run()
