/** Has clients write to the database through the proxy, and moves it to the other host and back under them. */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openHost, type Peer, requestMove } from 'flocker-zfs'
import { clientPort } from './database.js'
import { LiveLine, type MoveRow, printMoves } from './screen.js'
import { Writers } from './writers.js'

const { values, positionals } = parseArgs({
  allowPositionals: true, // the agents' addresses: first that of the host that runs the database
  options: {
    pool: { type: 'string' },
    embedded: { type: 'string' },
    credentials: { type: 'string', default: '/etc/flocker-zfs' },
    front: { type: 'string', default: '127.0.0.1' },
    clients: { type: 'string', default: '8' },
    moves: { type: 'string', default: '2' },
  },
})
const { pool, embedded, credentials } = values
const [first = 'alpha', second = 'beta'] = positionals

const where = embedded === undefined ? { pool: pool ?? 'tank' } : { embedded }
await using front = await openHost({ ...where, credentials, recovery: 'none' })
await using alpha = await front.connect(first)
await using beta = await front.connect(second)

const writers = await Writers.start({ host: values.front, port: clientPort, clients: Number(values.clients) })
const line = new LiveLine(writers)
await wait(2000)

const rows: MoveRow[] = []
let [from, to] = [alpha, beta]
for (let i = 0; i < Number(values.moves); i++) {
  rows.push(await move(from, to))
  ;[from, to] = [to, from]
  await wait(2000)
}
line.end()

const { acknowledged, lost, failed, again } = await writers.end()
printMoves(rows)
console.log(`\n${acknowledged} transactions acknowledged, ${lost} lost, ${failed} failed; ${again} attempts made again`)
if (lost + failed > 0) process.exitCode = 1

async function move(from: Peer, to: Peer): Promise<MoveRow> {
  const name = `${from.identity} → ${to.identity}`
  const moved = await requestMove('db', from, to.identity, { onPhase: (phase) => line.say(`${name}: ${phase}`) })
  line.say(`db runs on ${to.identity}`)
  return { name, ...moved, longestTransaction: writers.takeLongest() }
}
