/** Runs the example on three lab hosts: orchestrators on two with Docker, and a front with a proxy. One is drained, the other one dies. */
import { join } from 'node:path'
import { type Load, Stage } from '../../test/hosts/stage.js'
import type { LabProcess } from '../../test/lab/index.js'

const runners = ['alpha', 'beta'] as const
type Runner = (typeof runners)[number]
type Show = (text: string) => void

/** The orchestrators of a stage, in place of its agents. */
export class Orchestrators {
  readonly #programs = new Map<string, LabProcess>()

  private constructor(
    private readonly stage: Stage,
    private readonly show: Show,
  ) {}

  static async start(stage: Stage, show: Show): Promise<Orchestrators> {
    const orchestrators = new Orchestrators(stage, show)
    await Promise.all(runners.map((name) => orchestrators.#start(name)))
    return orchestrators
  }

  async #start(name: Runner): Promise<void> {
    const host = this.stage.host(name)
    const other = name === 'alpha' ? 'beta' : 'alpha'
    await this.stage.stopAgent(name)
    // Who cuts a host's power leaves a mark on the other one.
    await host.writeFile('/etc/fence', '#!/bin/sh\ntest -e "/etc/off-$1"\n')
    await host.run(['chmod', '755', '/etc/fence'])
    const flags = ['--pool', host.pool, '--engine', '/run/docker.sock', '--fence', '/etc/fence', '--dead', '5']
    const hosts = ['--peer', other, '--peer', 'front', '--runner', other]
    const program = host.spawn(['node', join(__dirname, 'orchestrator.mjs'), ...flags, ...hosts])
    this.#programs.set(name, program)
    program.stdin.end()
    program.stderr.on('data', (chunk: Buffer) => this.show(`${name}: ${chunk}`))
    await this.says(name, 'orchestrates')
  }

  /** Waits until a host's orchestrator says so. */
  async says(name: Runner, words: string): Promise<string> {
    const program = this.#programs.get(name) as LabProcess
    for (;;) {
      const line = await program.nextLine(180_000)
      if (line === null) throw new Error(`the orchestrator of ${name} has ended`)
      this.show(`${name}: ${line}\n`)
      if (line.includes(words)) return line
    }
  }

  /** As an operator does. */
  async control(...words: string[]): Promise<string> {
    const argv = ['node', join(__dirname, 'ctl.mjs'), ...words]
    const { stdout } = await this.stage.host('front').run(argv, { timeoutMilliseconds: 240_000 })
    this.show(`operator: ${words.join(' ')}\n${stdout}`)
    return stdout
  }

  /** One host is gone at once; the other one is told that it will not come back by itself. */
  async kill(name: Runner, survivor: Runner): Promise<void> {
    this.show(`the power of ${name} is cut\n`)
    await this.stage.host(name).cutPower()
    await this.stage.host(survivor).writeFile(`/etc/off-${name}`, '')
  }
}

/** Drains alpha under load, lets it back in, and has beta die. */
export async function drainAndFail(stage: Stage, show: Show): Promise<Awaited<ReturnType<Load['end']>>> {
  const orchestrators = await Orchestrators.start(stage, show)
  const load = stage.startLoad(2)
  await load.started()
  await orchestrators.control('drain', 'alpha')
  await orchestrators.control('resume', 'alpha')
  const report = await load.end()
  await orchestrators.kill('beta', 'alpha')
  await orchestrators.says('alpha', 'took pgdata over from beta')
  return report
}

async function main(): Promise<void> {
  console.log('Booting three hosts: alpha and beta with Docker, and a front with a proxy')
  await using stage = await Stage.open()
  await stage.startDatabase()
  const report = await drainAndFail(stage, (text) => process.stdout.write(text))
  console.log(
    `While alpha was drained: ${report.acknowledged} transactions, ${report.lost} lost, ${report.failed} failed`,
  )
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
}
