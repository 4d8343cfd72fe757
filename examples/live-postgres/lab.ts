/** Runs the example on three lab hosts: two with Docker, and one at the front with the clients. */
import { join } from 'node:path'
import { Stage } from '../../test/hosts/stage.js'
import type { LabProcess } from '../../test/lab/index.js'

const image = 'localhost/lab/postgres:15'

/** Starts the database on alpha, and moves it that often. @returns what the program at the front has said */
export async function livePostgres(stage: Stage, moves: number, show: (text: string) => void): Promise<string> {
  const alpha = stage.host('alpha')
  const start = [join(__dirname, 'start.mjs'), '--pool', alpha.pool, '--engine', '/run/docker.sock', '--image', image]
  show((await alpha.run(['node', ...start])).stdout)
  const front = stage.host('front')
  const live = [join(__dirname, 'live.mjs'), '--pool', front.pool, '--moves', String(moves), 'alpha', 'beta']
  const env: Record<string, string> = process.stdout.isTTY ? { FORCE_TTY: '1' } : {}
  return follow(front.spawn(['node', ...live], { env }), show)
}

/** Shows what a program says until it ends well. */
export async function follow(program: LabProcess, show: (text: string) => void): Promise<string> {
  let [said, errors] = ['', '']
  program.stdin.end()
  program.stderr.on('data', (chunk: Buffer) => {
    errors += chunk
  })
  for await (const chunk of program.stdout) {
    said += chunk
    show(String(chunk))
  }
  const { status, signal } = await program.exit
  if (status !== 0) throw new Error(`The program ended with ${signal ?? `status ${status}`}:\n${errors}`)
  return said
}

async function main(): Promise<void> {
  console.log('Booting three hosts: alpha and beta with Docker, and a front with a proxy and the clients')
  await using stage = await Stage.open({ images: ['alpha'] })
  await livePostgres(stage, Number(process.argv[2] ?? 2), (text) => process.stdout.write(text))
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
}
