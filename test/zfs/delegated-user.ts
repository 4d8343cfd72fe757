/** An ordinary user's process: makes the call of lzc that each line asks for, and prints the code of what it came to. */
import { createInterface } from 'node:readline'
import * as lzc from '../../src/lzc/index.js'
import { collect } from './pool.js'

type Call = (...args: unknown[]) => unknown

const special: Readonly<Record<string, (first: string, second: Buffer) => Promise<unknown>>> = {
  send: (snapshot) => collect(lzc.send(snapshot)),
  receive: (snapshot, stream) => {
    const receiving = lzc.receive(snapshot)
    receiving.on('error', () => undefined)
    receiving.end(stream)
    return receiving.result
  },
}

/** Buffers come as JSON has them. */
const revive = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
    ? Buffer.from((value as unknown as { data: number[] }).data)
    : value

async function run(line: string): Promise<string> {
  const { name, args } = JSON.parse(line, revive)
  const call = special[name] ?? (lzc as unknown as Record<string, Call>)[name]
  try {
    await (call as Call)(...args)
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) console.log(await run(line))
}

void main()
