/** Two lab hosts that know each other: a pool each, certificates of one CA, and an agent on beta that alpha may push to. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate, type Rule } from '../../src/index.js'
import { type Host, type Lab, type LabProcess, openLab, type ProfileName, type SpawnOptions } from './index.js'
import { lines } from './lines.js'

export interface PairOptions {
  alpha?: ProfileName
  beta?: ProfileName
  /** Size of each host's disk. */
  disk?: string
  betaDisk?: string
  memory?: string
  /** More flags of beta's agent. */
  agentFlags?: string[]
  /** What beta's agent allows; by default all that a push needs, below POOL/flocker. */
  rules?: (root: string) => Rule[]
}

export const credentialsDirectory = '/etc/flocker-zfs'
export const agentPort = 4523
const credentialFiles = ['ca.pem', 'host.pem', 'host.key']
export const commandLine = join(__dirname, '../../src/cli/main.js')

/** The dataset below which a host's volumes live. */
export function root(host: Host): string {
  return `${host.pool}/flocker`
}

function allowAll(datasets: string): Rule[] {
  return [{ peer: 'alpha', verbs: ['inspect', 'receive'], datasets: [`${datasets}/**`] }]
}

/** Puts a directory of credentials where the programs on that host look for them. */
export async function installCredentials(host: Host, directory: string, target = credentialsDirectory): Promise<void> {
  await host.run(['mkdir', '-p', target])
  for (const name of credentialFiles) {
    await host.writeFile(join(target, name), await readFile(join(directory, name)))
    await host.run(['chmod', '600', join(target, name)])
  }
}

/**
 * Starts `flocker-zfs agent` on a host and waits until it listens.
 * @param volumes the flags that say where its volumes are
 * @param log where its log goes, a JSON text a line
 */
export async function startAgent(
  host: Host,
  volumes: readonly string[],
  rules: readonly Rule[],
  log: string[],
  options: SpawnOptions = {},
): Promise<LabProcess> {
  const rulesFile = `${credentialsDirectory}/rules.json`
  await host.writeFile(rulesFile, JSON.stringify(rules))
  const flags = [...volumes, '--credentials', credentialsDirectory, '--authorize', rulesFile, '--port', `${agentPort}`]
  const agent = host.spawn(['node', commandLine, 'agent', ...flags], options)
  agent.stdin.end()
  // How it has ended, if it has by a fault of its own.
  agent.stderr.on('data', (chunk: Buffer) => log.push(String(chunk)))
  for await (const line of lines(agent)) {
    log.push(line)
    if (line.includes('"listening"')) {
      void followLog(agent, log)
      return agent
    }
  }
  throw new Error(`the agent did not start:\n${log.join('\n')}`)
}

/** An agent whose log nobody reads would come to a halt. */
async function followLog(agent: LabProcess, log: string[]): Promise<void> {
  for await (const line of lines(agent)) log.push(line)
}

interface PairParts {
  lab: Lab
  agentFlags: string[]
  certificates: string
  rules: Rule[]
}

/** Boots the two hosts; {@link Pair.prepare} does the rest. */
export async function assemble(options: PairOptions): Promise<PairParts> {
  const { alpha = 'newest', beta = 'newest', disk = '1 GiB', memory = '1 GiB' } = options
  const lab = await openLab({
    hosts: [
      { name: 'alpha', profile: alpha, disks: [disk], memory },
      { name: 'beta', profile: beta, disks: [options.betaDisk ?? disk], memory },
    ],
  })
  const rules = (options.rules ?? allowAll)(root(lab.host('beta')))
  return {
    lab,
    rules,
    agentFlags: options.agentFlags ?? [],
    certificates: await mkdtemp(join(tmpdir(), 'flocker-zfs-')),
  }
}

export class Pair implements AsyncDisposable {
  agent: LabProcess | undefined
  /** What the agent has logged, a JSON text a line. */
  readonly agentLog: string[] = []

  /** Where the CA and the certificates are, outside the hosts. */
  readonly certificates: string

  constructor(private readonly parts: PairParts) {
    this.certificates = parts.certificates
  }

  static async open(options: PairOptions = {}): Promise<Pair> {
    return new Pair(await assemble(options)).prepare()
  }

  get alpha(): Host {
    return this.parts.lab.host('alpha')
  }

  get beta(): Host {
    return this.parts.lab.host('beta')
  }

  link(name: 'alpha' | 'beta') {
    return this.parts.lab.link(name)
  }

  /** @internal */
  async prepare(): Promise<this> {
    try {
      await createCa(join(this.certificates, 'ca'), { name: 'lab' })
      await Promise.all([this.#equip(this.alpha), this.#equip(this.beta)])
      await this.startAgent()
      return this
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async #equip(host: Host): Promise<void> {
    await createHostCertificate(join(this.certificates, 'ca'), join(this.certificates, host.name), {
      identity: host.name,
      addresses: [host.name, host.address],
    })
    await installCredentials(host, join(this.certificates, host.name))
    await host.run([
      'zpool',
      'create',
      '-O',
      'compression=off',
      '-O',
      'mountpoint=none',
      host.pool,
      host.disks[0] as string,
    ])
  }

  /** Starts `flocker-zfs agent` on beta and waits until it listens. */
  async startAgent(): Promise<void> {
    const flags = ['--pool', this.beta.pool, ...this.parts.agentFlags]
    this.agent = await startAgent(this.beta, flags, this.parts.rules, this.agentLog)
  }

  /** Powers a host on again after a cut: same disks, pool imported, credentials (which live in memory) put back. */
  async revive(host: Host): Promise<void> {
    await host.boot()
    await host.importPools()
    await installCredentials(host, join(this.certificates, host.name))
    if (host === this.beta) await this.startAgent()
  }

  /** File names and SHA-256 hashes of a directory tree on a host. */
  async hashes(host: Host, directory: string): Promise<string> {
    const script = 'cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum'
    const { stdout } = await host.run(['sh', '-c', script, 'hashes', directory])
    return stdout
  }

  /** The same of a replica on beta, mounted for the while, read-only as it is. */
  async replicaHashes(name: string): Promise<string> {
    const dataset = `${root(this.beta)}/${name}`
    await this.beta.run(['zfs', 'mount', dataset])
    try {
      const { stdout } = await this.beta.run(['zfs', 'get', '-Ho', 'value', 'mountpoint', dataset])
      return await this.hashes(this.beta, stdout.trim())
    } finally {
      await this.beta.run(['zfs', 'unmount', dataset])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.parts.lab[Symbol.asyncDispose]()
    await rm(this.certificates, { recursive: true, force: true })
  }
}
