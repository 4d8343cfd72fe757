/**
 * Runs inside a lab host: appends records to a file of a volume, each of them synced, hands the volume over meanwhile, and tells as JSON how
 * that went and how many records were acknowledged.
 */
import { open } from 'node:fs/promises'
import { handoffVolume, openHost } from 'flocker-zfs'

export interface HandoffOrder {
  pool: string
  volume: string
  peer: string
  /** How long to write before. */
  milliseconds: number
}

export interface HandoffReport {
  acknowledged: number
  owner: string
  epoch: string
  rounds: number
  bytes: number
  pauseMilliseconds: number
  phases: Record<string, number>
}

class Appender {
  acknowledged = 0
  #stopped = false
  #running: Promise<void>

  constructor(path: string) {
    this.#running = this.#write(path)
  }

  async #write(path: string): Promise<void> {
    await using file = await open(path, 'a')
    while (!this.#stopped) {
      await file.appendFile(`${this.acknowledged + 1}\n`)
      await file.sync()
      this.acknowledged++
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
}

async function main({ pool, volume: name, peer: address, milliseconds }: HandoffOrder): Promise<void> {
  await using host = await openHost({ pool, credentials: '/etc/flocker-zfs', recovery: 'none' })
  await using peer = await host.connect(address)
  const volume = await host.getVolume(name)
  const appender = new Appender(`${volume.path}/log`)
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  const moved = await handoffVolume(volume, peer, { quiesce: () => appender.stop() })
  const report: HandoffReport = {
    acknowledged: appender.acknowledged,
    owner: moved.owner,
    epoch: String(moved.epoch),
    rounds: moved.rounds,
    bytes: Number(moved.bytes),
    pauseMilliseconds: Math.round(moved.pauseMilliseconds),
    phases: Object.fromEntries(Object.entries(moved.phases).map(([phase, time]) => [phase, Math.round(time)])),
  }
  console.log(JSON.stringify(report))
}

void main(JSON.parse(process.argv[2] ?? '{}') as HandoffOrder)
