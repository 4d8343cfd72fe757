/** Makes a pool with very many snapshots, and lists them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listSnapshots } from '../../src/datasets/index.js'
import { closePool, create, openPool, snapshot } from '../../src/lzc/index.js'
import { answer } from '../frame/child.js'
import { watch } from '../frame/watch.js'

export interface Order {
  snapshots: number
  rounds: number
}

/** One list each. */
export type Listed = { seconds: number; delayP99: number; delayMaximum: number; peakRss: number }[]

const ofEach = 100
const properties = ['used', 'referenced', 'written', 'userrefs', 'creation']

async function list(snapshots: number): Promise<Listed[number]> {
  const began = performance.now()
  const ended = watch()
  let seen = 0
  for await (const _ of listSnapshots('listing', { recursive: true, properties })) seen += 1
  const { delayP99, delayMaximum, peakRss } = ended()
  if (seen !== snapshots) throw new Error(`${seen} snapshots were listed, not ${snapshots}`)
  return { seconds: (performance.now() - began) / 1000, delayP99, delayMaximum, peakRss }
}

async function work({ snapshots, rounds }: Order): Promise<Listed> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-listing-'))
  try {
    await openPool(join(directory, 'pool'), 'listing')
    const names = Array.from({ length: snapshots / ofEach }, (_, i) => `listing/d${i}`)
    for (const name of names) await create(name)
    for (let i = 0; i < ofEach; i++) await snapshot(names.map((name) => `${name}@s${i}`))
    const listed: Listed = []
    for (let round = 0; round < rounds; round++) listed.push(await list(snapshots))
    await closePool('listing')
    return listed
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

if (require.main === module) answer(work)
