/** Three lab hosts: two that run containers, and one at the front with the clients. Each has an agent that knows the others. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Application, createCa, createHostCertificate, type Rule } from '../../src/index.js'
import { type Engine, startDocker } from '../lab/engines/index.js'
import { type Host, type Lab, type LabProcess, openLab, type RunOptions, type RunResult } from '../lab/index.js'
import { agentPort, commandLine, credentialsDirectory, installCredentials, root, startAgent } from '../lab/pair.js'
import { eventually } from '../zfs/pool.js'
import type { LoadReport } from './guest/load.js'

const loadProgram = join(__dirname, 'guest/load.js')
const runners = ['alpha', 'beta'] as const
type Runner = (typeof runners)[number]

/** Where clients find the database on every host. */
export const routePort = 15_432
/** Where it listens on the host that runs it. */
const hostPort = 5432

export const database: Application = {
  name: 'db',
  image: 'localhost/lab/postgres:15',
  environment: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
  ports: [{ container: 5432, host: hostPort }],
  volumes: [{ volume: 'pgdata', path: '/var/lib/postgresql/data' }],
  health: { kind: 'container', command: ['pg_isready', '-q', '-h', '127.0.0.1', '-U', 'postgres'] },
  beforeStop: ['psql', '-q', '-h', '127.0.0.1', '-U', 'postgres', '-c', 'CHECKPOINT'],
  stopSignal: 'SIGINT',
  routes: [{ address: `tcp:${routePort}`, port: 5432 }],
}

export interface Moved {
  epoch: string
  pauseMilliseconds: number
  milliseconds: number
  phases: Record<string, number>
  fronts: string[]
}

export class Stage implements AsyncDisposable {
  readonly logs = new Map<string, string[]>()
  readonly engines = new Map<string, Engine>()
  readonly #agents = new Map<string, LabProcess>()

  private constructor(
    readonly lab: Lab,
    private readonly certificates: string,
  ) {}

  /** @param images of which hosts have the database's image from the beginning */
  static async open({ images = runners as readonly Runner[] } = {}): Promise<Stage> {
    const lab = await openLab({
      hosts: [
        ...runners.map((name) => ({ name, disks: ['6 GiB'], memory: '2 GiB', engines: true })),
        { name: 'front', disks: ['1 GiB'], memory: '1 GiB' },
      ],
    })
    const stage = new Stage(lab, await mkdtemp(join(tmpdir(), 'flocker-zfs-')))
    try {
      await createCa(join(stage.certificates, 'ca'), { name: 'lab' })
      await Promise.all(lab.hosts.map((host) => stage.#equip(host, images.includes(host.name as Runner))))
      return stage
    } catch (error) {
      await stage[Symbol.asyncDispose]()
      throw error
    }
  }

  host(name: string): Host {
    return this.lab.host(name)
  }

  async #equip(host: Host, withImage: boolean): Promise<void> {
    const directory = join(this.certificates, host.name)
    await createHostCertificate(join(this.certificates, 'ca'), directory, {
      identity: host.name,
      addresses: [host.address, host.name],
    })
    await host.run(['zpool', 'create', '-O', 'mountpoint=none', host.pool, host.disks[0] as string])
    await this.#install(host)
    if (isRunner(host)) {
      this.engines.set(host.name, await startDocker(host, { images: withImage }))
    }
    await this.startAgent(host.name)
  }

  async #install(host: Host): Promise<void> {
    await installCredentials(host, join(this.certificates, host.name))
  }

  /** In whose place something else is to serve. */
  async stopAgent(name: string): Promise<void> {
    const agent = this.#agents.get(name)
    agent?.kill()
    await agent?.exit
  }

  async startAgent(name: string): Promise<void> {
    const host = this.host(name)
    const log: string[] = []
    this.logs.set(host.name, log)
    const verbs: Rule['verbs'] = ['inspect', 'receive', 'rollback', 'send', 'own', 'run']
    const rules = this.lab.hosts.map(({ name }) => ({ peer: name, verbs, datasets: [`${root(host)}/**`] }))
    const peers = this.lab.hosts
      .filter(({ name }) => name !== host.name)
      .flatMap(({ name }) => ['--peer', `${name}:${agentPort}`])
    const engine = isRunner(host) ? ['--engine', '/run/docker.sock'] : []
    const agent = await startAgent(host, ['--pool', host.pool, ...peers, ...engine, '--router'], rules, log)
    this.#agents.set(name, agent)
  }

  /** As after a power cut: everything on the machine is started again. */
  async revive(name: string): Promise<void> {
    const host = this.host(name)
    await host.boot()
    await host.importPools()
    await this.#install(host)
    if (isRunner(host)) this.engines.set(name, await startDocker(host))
    await this.startAgent(name)
  }

  /** The command line on a host. */
  async flocker(host: Host, ...words: string[]): Promise<string> {
    return (await this.attempt(host, {}, ...words)).stdout
  }

  /** The same, and how it has ended. */
  async attempt(host: Host, options: RunOptions, ...words: string[]): Promise<RunResult> {
    const flags = ['--pool', host.pool, '--credentials', credentialsDirectory]
    return host.run(['node', commandLine, ...words, ...flags], { timeoutMilliseconds: 240_000, ...options })
  }

  /** Makes the database's volume and starts it on alpha. */
  async startDatabase(application: Application = database): Promise<void> {
    const alpha = this.host('alpha')
    await this.flocker(alpha, 'volumes', 'create', 'pgdata', '--quota', '2G')
    await alpha.run(['zfs', 'set', 'recordsize=8k', 'compression=lz4', `${root(alpha)}/pgdata`])
    await alpha.writeFile('/etc/database.json', JSON.stringify(application))
    await this.flocker(alpha, 'containers', 'start', '/etc/database.json', '--engine', '/run/docker.sock')
  }

  async move(from: string, to: string, name = 'db', ...flags: string[]): Promise<Moved> {
    const words = ['move', name, to, '--from', `${from}:${agentPort}`, '--json', ...flags]
    return JSON.parse(await this.flocker(this.host(from), ...words)) as Moved
  }

  /** Starts a move of the database, to be ended early. */
  startMove(from: string, to: string): LabProcess {
    const host = this.host(from)
    const words = ['move', 'db', to, '--from', `${from}:${agentPort}`, '--pool', host.pool]
    return host.spawn(['node', commandLine, ...words, '--credentials', credentialsDirectory])
  }

  /** Resolves once an agent has logged something. */
  async says(name: string, text: string, from: number): Promise<void> {
    const log = this.logs.get(name) as string[]
    await eventually(() => log.slice(from).some((line) => line.includes(text)), 120_000)
  }

  /** Containers that run on those hosts, by default on all. */
  async running(hosts: readonly string[] = runners): Promise<string[]> {
    const found: string[] = []
    for (const [name, engine] of this.engines) {
      if (!hosts.includes(name)) continue
      const { stdout } = await engine.docker(['ps', '--format', '{{.Names}}'])
      for (const container of stdout.split('\n').filter((line) => line !== '')) found.push(`${container} on ${name}`)
    }
    return found
  }

  /** The ends of the agents' logs. */
  lastWords(): string {
    return [...this.logs].map(([name, log]) => [`${name}:`, ...log.slice(-25)].join('\n')).join('\n')
  }

  startLoad(clients = 8): Load {
    return new Load(
      this.host('front').spawn(['node', loadProgram, JSON.stringify({ host: '127.0.0.1', port: routePort, clients })]),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]()
    await rm(this.certificates, { recursive: true, force: true })
  }
}

function isRunner({ name }: Host): boolean {
  return (runners as readonly string[]).includes(name)
}

export class Load {
  readonly #errors: string[] = []

  constructor(private readonly program: LabProcess) {
    program.stderr.on('data', (chunk: Buffer) => this.#errors.push(String(chunk)))
  }

  async started(): Promise<void> {
    await this.#next()
  }

  /** How many transactions were acknowledged so far, and the longest one since this was last asked, in milliseconds. */
  async look(): Promise<{ acknowledged: number; stall: number }> {
    this.program.stdin.write('\n')
    return JSON.parse(await this.#next()) as { acknowledged: number; stall: number }
  }

  async end(): Promise<LoadReport> {
    this.program.stdin.end()
    return JSON.parse(await this.#next()) as LoadReport
  }

  async #next(): Promise<string> {
    const line = await this.program.nextLine(150_000)
    if (line === null) throw new Error(`the load has ended:\n${this.#errors.join('')}`)
    return line
  }
}
