/** TCP ports of this machine, seen from outside of who has them. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const listenState = '0A'
const deadlineMilliseconds = 15_000

/** One that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits until somebody listens, without connecting, which some would take for the one connection that they are there for. */
export async function listening(port: number, lost: Promise<never>): Promise<void> {
  const until = performance.now() + deadlineMilliseconds
  while (!(await hasListener(port))) {
    if (performance.now() > until) throw new Error(`nobody listens on port ${port} after ${deadlineMilliseconds} ms`)
    await Promise.race([sleep(20), lost])
  }
}

/** As proc_net_tcp(5) tells it. */
async function hasListener(port: number): Promise<boolean> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].filter(existsSync)
  const texts = await Promise.all(tables.map((table) => readFile(table, 'utf8')))
  return texts.some((text) =>
    text.split('\n').some((line) => {
      const [, local, , state] = line.trim().split(/\s+/)
      return state === listenState && local?.endsWith(suffix)
    }),
  )
}
