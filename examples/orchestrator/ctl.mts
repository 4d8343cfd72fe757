/** `ctl.mjs status|drain|resume HOST...`: what an operator asks the orchestrators. Draining waits until nothing runs there. */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadCredentials } from 'flocker-zfs'
import { ask } from './control.js'

const { values, positionals } = parseArgs({
  options: { credentials: { type: 'string', default: '/etc/flocker-zfs' } },
  allowPositionals: true,
})
const [what = 'status', ...hosts] = positionals
const credentials = await loadCredentials(values.credentials)
for (const host of hosts) {
  let view = await ask(credentials, host, what === 'status' ? 'GET /' : `POST /${what}`)
  while (what === 'drain' && view.applications > 0) {
    await wait(500)
    view = await ask(credentials, host)
  }
  console.log(`${view.identity}: ${view.applications} applications${view.drained ? ', drained' : ''}`)
}
