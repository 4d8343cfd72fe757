/** Runs the example with two hosts that are processes of this machine, each with a pool in a file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createCa, createHostCertificate, openHost, type Rule } from 'flocker-zfs'

const command = join(__dirname, '../../src/cli/main.js')
const alpha = join(__dirname, 'alpha.mjs')

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-two-hosts-'))
  const at = (name: string): string => join(directory, name)
  try {
    await createCa(at('ca'))
    for (const identity of ['alpha', 'beta']) {
      await createHostCertificate(at('ca'), at(identity), { identity, addresses: ['127.0.0.1'] })
    }
    const rules: Rule[] = [{ peer: 'alpha', verbs: ['inspect', 'receive', 'own'], datasets: ['embedded/flocker/**'] }]
    await writeFile(at('rules.json'), JSON.stringify(rules))
    const beta = { embedded: at('b'), credentials: at('beta') }
    await withAgent({ ...beta, authorize: at('rules.json') }, async (port) => {
      const flags = ['--embedded', at('a'), '--credentials', at('alpha')]
      const child = spawn(process.execPath, [alpha, ...flags, `127.0.0.1:${port}`], { stdio: 'inherit' })
      const [status, signal] = await once(child, 'exit')
      if (status !== 0) throw new Error(`alpha ended with ${signal ?? `status ${status}`}`)
    })
    await using host = await openHost(beta)
    const bytes = await (await host.getVolume('notes')).read(0, 64)
    console.log(`${host.identity} reads: ${bytes.toString().replaceAll('\0', '')}`)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** beta is what its operator would start there: the agent. */
async function withAgent(options: Record<string, string>, use: (port: number) => Promise<void>): Promise<void> {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const argv = [command, 'agent', '--port', '0', '--address', '127.0.0.1', ...flags]
  const agent = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(agent, 'exit')
  try {
    const listening = new Promise<number>((resolve) => {
      createInterface({ input: agent.stdout }).on('line', (line) => {
        const { msg, port } = JSON.parse(line) as { msg: string; port: number }
        if (msg === 'listening') resolve(port)
      })
    })
    const failed = ended.then(([status]) => Promise.reject(new Error(`beta's agent ended with status ${status}`)))
    await use(await Promise.race([listening, failed]))
  } finally {
    agent.kill()
    await ended
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
