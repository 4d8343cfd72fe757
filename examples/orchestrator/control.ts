/** What orchestrators say to each other, and operators to them: HTTPS with the certificates that the hosts have anyway. */

import type { IncomingMessage } from 'node:http'
import { createServer, request, type Server } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Credentials } from 'flocker-zfs'
import type { HostView } from './decide.js'

export const controlPort = 4524

const tls = ({ ca, certificate, key }: Credentials) => ({ ca, cert: certificate, key })

/** Tells of this host. Who has a certificate of the cluster's may drain it. */
export function serveControl(credentials: Credentials, view: () => HostView, drain: (on: boolean) => void): Server {
  const server = createServer({ ...tls(credentials), requestCert: true, rejectUnauthorized: true }, (asked, answer) => {
    if (asked.method === 'POST') drain(asked.url === '/drain')
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(view()))
  })
  return server.listen(controlPort)
}

/** @param what `GET /`, `POST /drain` or `POST /resume` */
export async function ask(credentials: Credentials, host: string, what = 'GET /'): Promise<HostView> {
  const [method, path] = what.split(' ') as [string, string]
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { host, port: controlPort, method, path, ...tls(credentials), signal: AbortSignal.timeout(3000) }
    request(options, resolve).on('error', reject).end()
  })
  return JSON.parse(await text(answer)) as HostView
}
