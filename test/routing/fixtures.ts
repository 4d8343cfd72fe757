/** Applications behind a router, and their clients. All sockets, all TLS and all HTTP are real. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, createServer as createHttpServer, request } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import type { RouteInfo, Router, RouterOptions, RouteTarget } from '../../src/routing/index.js'
import { createCa, createHostCertificate } from '../../src/transport/index.js'

export const HOST = '127.0.0.1'

/** How a driver is opened; what it needs besides is undone by the scope. */
export interface Driver {
  readonly name: string
  open(scope: Scope, options?: RouterOptions): Promise<Router>
}

/** What a test opened, closed in reverse. */
export class Scope {
  readonly #undo: Array<() => unknown> = []

  defer(undo: () => unknown): void {
    this.#undo.push(undo)
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo()
  }

  /** A directory that is removed in the end. */
  async directory(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'flocker-zfs-routing-'))
    this.defer(() => rm(path, { recursive: true }))
    return path
  }
}

export function scoped(body: (scope: Scope) => Promise<void>): () => Promise<void> {
  return async () => {
    const scope = new Scope()
    try {
      await body(scope)
    } finally {
      await scope.close()
    }
  }
}

export const nap = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Resolves when it is so; fails after the time. */
export async function until(isSo: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${milliseconds} ms: ${isSo}`)
    await nap(10)
  }
}

/** The promise's result; fails after the time. */
export async function within<T>(promise: Promise<T>, what: string, milliseconds = 15_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: still waiting after ${milliseconds} ms`)), milliseconds)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The error's code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const outcome = await within(promise, 'a failure').then(
    () => 'no error',
    (error: unknown) => error,
  )
  return outcome instanceof Error && 'code' in outcome ? String(outcome.code) : String(outcome)
}

let nextPort = 12_000 + (process.pid % 1500) * 12

/** A port that nobody listens at, outside the range that systems give to outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort++
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

/** An application: answers every line with its name and the line. */
export class Application {
  readonly #sockets = new Set<Socket>()
  /** Connections that have been made to it. */
  connections = 0

  private constructor(
    readonly server: Server,
    readonly target: RouteTarget,
  ) {
    const event = 'setSecureContext' in server ? 'secureConnection' : 'connection'
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket))
    })
    server.on(event, () => {
      this.connections++
    })
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size
  }

  static async listen(scope: Scope, server: Server, port?: number): Promise<Application> {
    const application = new Application(server, { host: HOST, port: port ?? (await freePort()) })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ ...application.target, backlog: 4096 }, resolve)
    })
    scope.defer(() => application.close())
    return application
  }

  static async lines(scope: Scope, name: string, port?: number): Promise<Application> {
    return await Application.listen(
      scope,
      createServer({ allowHalfOpen: true }, (socket) => answerLines(socket, name)),
      port,
    )
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

function answerLines(socket: Socket, name: string): void {
  socket.on('error', () => undefined)
  onLine(socket, (line) => socket.write(`${name} ${line}\n`))
  socket.once('end', () => socket.end())
}

function onLine(socket: Socket, take: (line: string) => void): void {
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
}

/** A client that sends lines and awaits an answer to each. */
export class Client {
  readonly #answers: string[] = []
  readonly #waiting: Array<(answer: string) => void> = []
  error: Error | undefined
  /** Settles when the connection is closed, by whomever. */
  readonly closed: Promise<void>

  constructor(readonly socket: Socket) {
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', (error) => {
      this.error = error
    })
    onLine(socket, (line) => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#answers.push(line)
      else next(line)
    })
  }

  /** Connects; the connection may still be waiting at the router. */
  static tcp(scope: Scope, port: number): Client {
    const client = new Client(connect({ host: HOST, port }))
    scope.defer(() => client.socket.destroy())
    return client
  }

  /** The answer to a line; `closed` if the connection ended instead. */
  ask(line: string): Promise<string> {
    this.socket.write(`${line}\n`)
    const ready = this.#answers.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    const next = new Promise<string>((resolve) => this.#waiting.push(resolve))
    const answer = within(Promise.race([next, this.closed.then(() => 'closed')]), `an answer to ${line}`)
    // A test that has failed for another reason asks nobody any more.
    answer.catch(() => undefined)
    return answer
  }
}

/** Names in certificates of a CA of the test's own. */
export class Certificates {
  private constructor(
    readonly ca: Buffer,
    readonly directory: string,
  ) {}

  static async create(directory: string): Promise<Certificates> {
    await createCa(join(directory, 'ca'))
    return new Certificates(await readFile(join(directory, 'ca/ca.pem')), directory)
  }

  /** An application behind TLS, which proves to be `serverName`. */
  async application(scope: Scope, serverName: string, name: string): Promise<Application> {
    const out = join(this.directory, name)
    await createHostCertificate(join(this.directory, 'ca'), out, { identity: name, addresses: [serverName] })
    const [cert, key] = await Promise.all(['host.pem', 'host.key'].map((file) => readFile(join(out, file))))
    if (cert === undefined || key === undefined) throw new Error('no certificate')
    return await Application.listen(
      scope,
      createTlsServer({ cert, key }, (socket) => answerLines(socket, name)),
    )
  }

  /** A client that accepts `serverName` alone. */
  client(scope: Scope, port: number, servername: string): Client {
    const client = new Client(tlsConnect({ host: HOST, port, servername, ca: this.ca }))
    scope.defer(() => client.socket.destroy())
    return client
  }
}

/** An application that answers every HTTP request with its name. */
export async function httpApplication(scope: Scope, name: string): Promise<Application> {
  const server = createHttpServer((incoming, response) => {
    incoming.resume()
    incoming.on('end', () => response.end(`${name} ${incoming.headers.host} ${incoming.url}`))
  })
  return await Application.listen(scope, server)
}

/** A request on a connection of its own. */
export async function get(port: number, host: string, path = '/'): Promise<{ status: number; body: string }> {
  const agent = new Agent({ keepAlive: false })
  const answer = new Promise<{ status: number; body: string }>((resolve, reject) => {
    const sent = request({ host: HOST, port, path, agent, headers: { host } }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: body.trim() }))
    })
    sent.once('error', reject).end()
  })
  return await within(answer, `GET ${host}${path}`).finally(() => agent.destroy())
}

/** What a router says of one route. */
export async function info(router: Router, key: string): Promise<RouteInfo> {
  const found = (await router.list()).find((each) => each.key === key)
  if (found === undefined) throw new Error(`there is no ${key}`)
  return found
}
