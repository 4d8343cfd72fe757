/**
 * Runs inside a lab host: does what each line of its standard input says in JSON, and answers in a line. Streams are in a file. Starting
 * Node.js there takes longer than all that it does.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import * as lzc from '../../../src/lzc/index.js'
import { receive, send, token } from '../sdk.js'
import type { Receiving, Sending } from '../side.js'

async function run([operation, name, more]: [string, string, unknown], file: string): Promise<string> {
  switch (operation) {
    case 'snapshot':
      await lzc.snapshot(name)
      return ''
    case 'bookmark':
      await lzc.bookmark({ [name]: more as string })
      return ''
    case 'clone':
      await lzc.clone(more as string, name)
      return ''
    case 'send':
      await writeFile(file, await send(name, more as Sending))
      return ''
    case 'receive':
      await receive(name, await readFile(file), more as Receiving)
      return ''
    case 'token':
      return token(name)
    default:
      throw new Error(`no such operation: ${operation}`)
  }
}

async function main(file: string): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await run(JSON.parse(line), file).then(
      (text) => ({ text }),
      (error: Error) => ({ error: error.stack }),
    )
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
}

void main(process.argv[2] as string)
