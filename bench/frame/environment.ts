/** The machine and the code that a result is of. */
import { execFile } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { Environment } from './result.js'

const run = promisify(execFile)

/** As it is now: to be read before a benchmark starts. */
export async function readEnvironment(): Promise<Environment> {
  const [load = 0] = loadavg()
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    versions: { 'Node.js': process.versions.node, OpenSSL: process.versions.openssl },
    commit: await commit(),
    date: new Date().toISOString(),
    load: Math.round(load * 100) / 100,
  }
}

/** Says `+` after the commit where something was changed since. */
async function commit(): Promise<string> {
  try {
    const { stdout } = await run('git', ['describe', '--always', '--abbrev=12', '--exclude=*', '--dirty=+'], {
      cwd: __dirname,
    })
    return stdout.trim()
  } catch (error) {
    // A copy of the sources without their history.
    return `unknown (${error instanceof Error ? error.message.split('\n')[0] : error})`
  }
}
