import { openHaproxyRouter } from '../../src/routing/index.js'
import { HOST } from './fixtures.js'
import { haproxyProgram } from './haproxy-program.js'
import { conformance } from './suite.js'

conformance({
  name: 'HAProxy',
  open: async (scope, options) => {
    const directory = await scope.directory()
    const router = await openHaproxyRouter({ directory, program: await haproxyProgram(), address: HOST, ...options })
    scope.defer(() => router.close())
    return router
  },
}).run()
