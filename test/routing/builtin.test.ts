import { openBuiltInRouter } from '../../src/routing/index.js'
import { HOST } from './fixtures.js'
import { conformance } from './suite.js'

conformance({
  name: 'built-in',
  open: async (scope, options) => {
    const router = await openBuiltInRouter({ address: HOST, ...options })
    scope.defer(() => router.close())
    return router
  },
}).run()
