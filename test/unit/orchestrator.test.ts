import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chooseTarget, type HostView, isHeir } from '../../examples/orchestrator/decide.js'

const host = (identity: string, applications: number, drained = false): HostView => ({
  identity,
  applications,
  drained,
})

test('examples/orchestrator: one goes where it makes the load more even', () => {
  assert.is(chooseTarget(host('a', 2), [host('b', 1)]), undefined)
  assert.is(chooseTarget(host('a', 0, true), [host('b', 0)]), undefined)
  assert.is(chooseTarget(host('a', 4), []), undefined)
  assert.is(chooseTarget(host('a', 4), [host('b', 1), host('c', 0)])?.identity, 'c')
})

test('examples/orchestrator: all leave a drained host, and none goes to one', () => {
  assert.is(chooseTarget(host('a', 1, true), [host('b', 3), host('c', 0, true)])?.identity, 'b')
  assert.is(chooseTarget(host('a', 1, true), [host('c', 0, true)]), undefined)
})

test('examples/orchestrator: of the hosts that see the same, one is heir', () => {
  const hosts = [host('b', 1), host('a', 1), host('c', 0, true)]
  const heirs = hosts.filter((each) =>
    isHeir(
      each,
      hosts.filter((other) => other !== each),
    ),
  )
  assert.equal(heirs, [host('a', 1)])
})

test.run()
