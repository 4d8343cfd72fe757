/** A program that uses the package, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const main = join(__dirname, '../../src/index.js')

/**
 * Starts a program: the body of an async function that has `zfs` (this package), `lzc`, `directory` and `say`, which writes a
 * line.
 */
export function startProgram(body: string, directory: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  const source = `
    const zfs = require(${JSON.stringify(main)})
    const lzc = require(${JSON.stringify(join(main, '../lzc/index.js'))})
    const directory = ${JSON.stringify(directory)}
    const say = (value) => console.log(JSON.stringify(value))
    void (async () => { ${body} })().catch(({ code, message }) => say({ code, message }))`
  return spawn(process.execPath, ['-e', source], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** What a program said in all, which must end well. */
export async function runProgram(...program: Parameters<typeof startProgram>): Promise<Record<string, string>[]> {
  const child = startProgram(...program)
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (data: string) => (text += data))
  const [status, signal] = await once(child, 'close')
  if (status !== 0) throw new Error(`the program ended with ${signal ?? status}: ${text}`)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
