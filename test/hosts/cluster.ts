/** Two lab hosts that know each other: pools, certificates of one CA, an agent on beta, and alpha to push from. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate, type Rule } from '../../src/index.js'
import { type LabHost, type LabProcess, openLab } from '../lab/index.js'
import type { PushEvent, PushOrder } from './guest/push.js'

export type Profile = 'newest' | 'oldest'

export interface ClusterOptions {
  alpha?: Profile
  beta?: Profile
  /** Size of each host's disk. */
  disk?: string
  betaDisk?: string
  memory?: string
  /** What beta's agent allows; by default all that a push needs, below tank/flocker. */
  rules?: Rule[]
}

/** What one run of the pushing program said. */
export interface PushRun {
  events: PushEvent[]
  result: Extract<PushEvent, { event: 'result' }> | undefined
  error: Extract<PushEvent, { event: 'error' }> | undefined
  end: Extract<PushEvent, { event: 'end' }> | undefined
}

export interface RunningPush {
  /** Resolves when so many bytes of the stream have gone. */
  reached(bytes: number): Promise<void>
  done: Promise<PushRun>
}

const credentials = '/etc/flocker-zfs'
const port = 4523
const root = 'tank/flocker'

export class Cluster implements AsyncDisposable {
  agent: LabProcess | undefined

  private constructor(
    private readonly lab: Awaited<ReturnType<typeof openLab>>,
    readonly alpha: LabHost,
    readonly beta: LabHost,
    private readonly rules: Rule[],
    /** Where the CA and the certificates are, outside the hosts. */
    readonly certificates: string,
  ) {}

  static async open(options: ClusterOptions = {}): Promise<Cluster> {
    const certificates = await mkdtemp(join(tmpdir(), 'flocker-zfs-test-'))
    const disk = options.disk ?? '1 GiB'
    const memory = options.memory ?? '1 GiB'
    const lab = await openLab({
      hosts: [
        { name: 'alpha', profile: options.alpha ?? 'newest', disks: [disk], memory },
        { name: 'beta', profile: options.beta ?? 'newest', disks: [options.betaDisk ?? disk], memory },
      ],
    })
    const rules = options.rules ?? [{ peer: 'alpha', verbs: ['inspect', 'receive'], datasets: [root, `${root}/**`] }]
    const cluster = new Cluster(lab, lab.host('alpha'), lab.host('beta'), rules, certificates)
    await createCa(join(certificates, 'ca'), { name: 'lab' })
    await Promise.all([cluster.#equip(cluster.alpha), cluster.#equip(cluster.beta)])
    await cluster.startAgent()
    return cluster
  }

  async #equip(host: LabHost): Promise<void> {
    await createHostCertificate(join(this.certificates, 'ca'), join(this.certificates, host.name), {
      identity: host.name,
      addresses: [host.name, host.address],
    })
    await this.installCredentials(host, join(this.certificates, host.name))
    await host.run(['zpool', 'create', '-O', 'compression=off', '-O', 'mountpoint=none', 'tank', '/dev/ubda'])
  }

  /** Puts a directory of credentials where the programs on that host look for them. */
  async installCredentials(host: LabHost, directory: string, target = credentials): Promise<void> {
    await host.run(['mkdir', '-p', target])
    for (const name of ['ca.pem', 'host.pem', 'host.key']) {
      await host.writeFile(join(target, name), await readFile(join(directory, name)))
      await host.run(['chmod', '600', join(target, name)])
    }
  }

  link(name: 'alpha' | 'beta') {
    return this.lab.link(name)
  }

  async startAgent(): Promise<void> {
    await this.beta.writeFile('/etc/flocker-zfs/rules.json', JSON.stringify(this.rules))
    const agent = this.beta.spawn(
      [
        'node',
        join(process.cwd(), 'build/src/cli/main.js'),
        'agent',
        '--pool',
        'tank',
        '--credentials',
        credentials,
      ].concat(['--authorize', '/etc/flocker-zfs/rules.json', '--port', String(port)]),
    )
    this.agent = agent
    const log: string[] = []
    for await (const line of agent.stdout.lines()) {
      log.push(line)
      if (line.includes('"listening"')) break
    }
    if (!log.some((line) => line.includes('"listening"')))
      throw new Error(`the agent did not start:\n${log.join('\n')}`)
  }

  /** Powers a host on again after a cut: same disks, pool imported, credentials (which live in memory) put back. */
  async revive(host: LabHost): Promise<void> {
    await host.boot()
    await host.importPools()
    await this.installCredentials(host, join(this.certificates, host.name))
    if (host === this.beta) await this.startAgent()
  }

  /** Creates the volume on alpha, mounted at /flocker/NAME. */
  async createVolume(name: string, properties: Record<string, string> = {}): Promise<void> {
    const options = Object.entries(properties).flatMap(([key, value]) => ['-o', `${key}=${value}`])
    await this.alpha.run(['zfs', 'create', '-p', ...options, '-o', `mountpoint=/flocker/${name}`, `${root}/${name}`])
  }

  /** Starts a push on alpha and watches it. */
  startPush(order: Omit<PushOrder, 'peer'> & { peer?: string }): RunningPush {
    const argument = JSON.stringify({ peer: `beta:${port}`, ...order })
    const child = this.alpha.spawn(['node', join(process.cwd(), 'build/test/hosts/guest/push.js'), argument])
    const events: PushEvent[] = []
    const waiting = new Set<() => void>()
    const wake = (): void => {
      for (const check of waiting) check()
    }
    const read = async (): Promise<PushRun> => {
      const errors = collect(child.stderr)
      for await (const line of child.stdout.lines()) {
        events.push(JSON.parse(line) as PushEvent)
        wake()
      }
      const { status, signal } = await child.exit
      if (status !== 0) throw new Error(`the pushing program ended with ${signal ?? status}:\n${await errors}`)
      return { events, result: last(events, 'result'), error: last(events, 'error'), end: last(events, 'end') }
    }
    const done = read()
    const reached = (bytes: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const ended = last(events, 'error') ?? last(events, 'end')
          if ((last(events, 'progress')?.bytes ?? 0) >= bytes) resolve()
          else if (ended !== undefined)
            reject(new Error(`the push ended before ${bytes} bytes: ${JSON.stringify(ended)}`))
          else return
          waiting.delete(check)
        }
        waiting.add(check)
        check()
      })
    return { reached, done }
  }

  async push(order: Omit<PushOrder, 'peer'> & { peer?: string }): Promise<PushRun> {
    return this.startPush(order).done
  }

  /** The snapshots of a host, by full name with GUID, oldest first. */
  async snapshots(host: LabHost): Promise<string[]> {
    const { stdout } = await host.run(['zfs', 'list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg'])
    return lines(stdout)
  }

  /** Every hold on a host: `snapshot tag`. */
  async holds(host: LabHost): Promise<string[]> {
    const names = (await this.snapshots(host)).map((line) => line.split('\t')[0] as string)
    if (names.length === 0) return []
    const { stdout } = await host.run(['zfs', 'holds', '-H', ...names])
    return lines(stdout)
  }

  /** The datasets below a host's root, each with its resume token or `-`. */
  async datasets(host: LabHost): Promise<string[]> {
    const argv = ['zfs', 'list', '-Hpr', '-t', 'filesystem,volume', '-o', 'name,receive_resume_token', root]
    return lines((await host.run(argv, { check: false })).stdout)
  }

  /** What beta's agent has open: file descriptors and threads. */
  async agentLeftover(): Promise<string> {
    const script =
      'p=$(pgrep -f "cli/main.js agent"); echo "$(ls /proc/$p/fd | wc -l) descriptors, $(ls /proc/$p/task | wc -l) threads"'
    return (await this.beta.run(['sh', '-c', script])).stdout.trim()
  }

  /** Writes so many MiB of random files below a volume's mount point on alpha. */
  async fill(name: string, directory: string, mebibytes: number): Promise<void> {
    const script =
      'mkdir -p "$1" && for i in $(seq "$2"); do dd if=/dev/urandom of="$1/$i" bs=1M count=1 status=none; done'
    await this.alpha.run(['sh', '-c', script, 'fill', `/flocker/${name}/${directory}`, String(mebibytes)])
  }

  /** File names and hashes of a directory tree on a host. */
  async hashes(host: LabHost, directory: string): Promise<string> {
    const { stdout } = await host.run([
      'sh',
      '-c',
      `cd ${directory} && find . -type f -print0 | sort -z | xargs -0 sha256sum`,
    ])
    return stdout
  }

  /** The same of a replica, mounted for the while, read-only as it is. */
  async replicaHashes(name: string): Promise<string> {
    await this.beta.run(['zfs', 'mount', `${root}/${name}`])
    try {
      const mountpoint = lines(
        (await this.beta.run(['zfs', 'get', '-Ho', 'value', 'mountpoint', `${root}/${name}`])).stdout,
      )[0]
      return await this.hashes(this.beta, mountpoint as string)
    } finally {
      await this.beta.run(['zfs', 'unmount', `${root}/${name}`])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]()
    await rm(this.certificates, { recursive: true, force: true })
  }
}

function last<K extends PushEvent['event']>(
  events: PushEvent[],
  kind: K,
): Extract<PushEvent, { event: K }> | undefined {
  return events.findLast((event): event is Extract<PushEvent, { event: K }> => event.event === kind)
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

async function collect(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}
