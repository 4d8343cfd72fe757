/** The lab pair with what tests of a push look at. */
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Host } from '../lab/index.js'
import { lines } from '../lab/lines.js'
import { agentPort, assemble, Pair, type PairOptions, root } from '../lab/pair.js'
import type { PushEvent, PushOrder } from './guest/push.js'

const pushProgram = join(__dirname, 'guest/push.js')

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

export class Cluster extends Pair {
  static override async open(options: PairOptions = {}): Promise<Cluster> {
    return new Cluster(await assemble(options)).prepare()
  }

  /** Creates the volume on alpha, mounted at /flocker/NAME. */
  async createVolume(name: string, properties: Record<string, string> = {}): Promise<void> {
    const options = Object.entries(properties).flatMap(([key, value]) => ['-o', `${key}=${value}`])
    await this.alpha.run([
      'zfs',
      'create',
      '-p',
      ...options,
      '-o',
      `mountpoint=/flocker/${name}`,
      `${root(this.alpha)}/${name}`,
    ])
  }

  /** Starts a push on alpha and watches it. */
  startPush(order: Omit<PushOrder, 'peer' | 'pool'> & { peer?: string }): RunningPush {
    const argument = JSON.stringify({ pool: this.alpha.pool, peer: `beta:${agentPort}`, ...order })
    const child = this.alpha.spawn(['node', pushProgram, argument])
    const events: PushEvent[] = []
    const waiting = new Set<() => void>()
    const wake = (): void => {
      for (const check of waiting) check()
    }
    const read = async (): Promise<PushRun> => {
      const errors = text(child.stderr)
      for await (const line of lines(child)) {
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

  async push(order: Omit<PushOrder, 'peer' | 'pool'> & { peer?: string }): Promise<PushRun> {
    return this.startPush(order).done
  }

  /** The snapshots of a host's volumes, by name below its root, with GUID, oldest first. */
  async snapshots(host: Host): Promise<string[]> {
    const { stdout } = await host.run([
      'zfs',
      'list',
      '-Hpr',
      '-t',
      'snapshot',
      '-o',
      'name,guid',
      '-s',
      'createtxg',
      host.pool,
    ])
    return nonEmpty(stdout).map((line) => line.slice(root(host).length + 1))
  }

  /** Every hold on a host: snapshot, tag and time, with tabs between them. */
  async holds(host: Host): Promise<string[]> {
    const names = (await this.snapshots(host)).map((line) => `${root(host)}/${line.split('\t')[0]}`)
    if (names.length === 0) return []
    const { stdout } = await host.run(['zfs', 'holds', '-H', ...names])
    return nonEmpty(stdout)
  }

  /** The datasets below a host's root, each with its resume token or `-`. */
  async datasets(host: Host): Promise<string[]> {
    const argv = ['zfs', 'list', '-Hpr', '-t', 'filesystem,volume', '-o', 'name,receive_resume_token', root(host)]
    return nonEmpty((await host.run(argv, { check: false })).stdout)
  }

  /** What beta's agent has open: file descriptors and threads. */
  async agentLeftover(): Promise<string> {
    const pid = await this.agent?.started
    // Node.js's own loops make an eventfd when they first need one.
    const descriptors = 'ls -l /proc/$1/fd | grep -v eventfd | wc -l'
    const script = `echo "$(${descriptors}) descriptors, $(ls /proc/$1/task | wc -l) threads"`
    return (await this.beta.run(['sh', '-c', script, 'leftover', String(pid)])).stdout.trim()
  }

  /** Writes so many MiB of random files below a volume's mount point on alpha. */
  async fill(name: string, directory: string, mebibytes: number): Promise<void> {
    const script =
      'mkdir -p "$1" && for i in $(seq "$2"); do dd if=/dev/urandom of="$1/$i" bs=1M count=1 status=none; done'
    await this.alpha.run(['sh', '-c', script, 'fill', `/flocker/${name}/${directory}`, String(mebibytes)])
  }
}

function last<K extends PushEvent['event']>(
  events: PushEvent[],
  kind: K,
): Extract<PushEvent, { event: K }> | undefined {
  return events.findLast((event): event is Extract<PushEvent, { event: K }> => event.event === kind)
}

function nonEmpty(output: string): string[] {
  return output.split('\n').filter((line) => line !== '')
}
