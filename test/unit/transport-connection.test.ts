import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { NotSupportedError, ZfsError } from '../../src/errors.js'
import { defineMethod, handle } from '../../src/transport/index.js'
import { Cluster, failure, ping, pingHandler, scoped, until } from './transport-fixtures.js'

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

test(
  'a request is answered; uint64 and the peer identity arrive exactly',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    assert.is(connection.identity, 'beta')
    assert.equal(connection.remoteHello, { name: 'server' })
    const number = 0xffff_ffff_ffff_ffffn
    assert.equal(await connection.request(ping, { text: 'ö', number }), { text: 'ö', number, peer: 'alpha' })
  }),
)

test(
  'a thousand requests one after the other',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    for (let n = 0n; n < 1000n; n += 1n) assert.is((await connection.request(ping, { text: '', number: n })).number, n)
  }),
)

test.run()
