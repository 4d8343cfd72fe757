/** An ordinary user's process: makes the call of src/lzc or src/datasets that each line asks for, and prints the code of what it came to. */
import { createInterface } from 'node:readline'
import * as datasets from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { all, collect } from './pool.js'

type Call = (...args: unknown[]) => unknown

const special: Readonly<Record<string, (first: string, second: never) => Promise<unknown>>> = {
  listBookmarks: (dataset) => all(datasets.listBookmarks(dataset)),
  listDatasets: (dataset) => all(datasets.listDatasets(dataset)),
  listSnapshots: (dataset) => all(datasets.listSnapshots(dataset)),
  send: (snapshot, options) => collect(lzc.send(snapshot, options)),
  receive: (snapshot, stream: Buffer) => {
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
  const call = special[name] ?? ({ ...lzc, ...datasets } as unknown as Record<string, Call>)[name]
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
