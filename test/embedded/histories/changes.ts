/** What administrators do to datasets, with libzfs_core alone. ZFS refuses what it refuses; then nothing has happened. */
import { randomBytes } from 'node:crypto'
import { setProperties } from '../../../src/datasets/index.js'
import { FlockerError } from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import type { Dice } from './dice.js'
import { blockBytes, type DatasetState, isHalfThere, type State, volumeBytes } from './state.js'

/** One host at the time of a change. */
export interface Scene {
  dice: Dice
  /** Full name of the dataset that the history has for itself. */
  container: string
  state: State
  /** Names come again, so that they clash. */
  name: (prefix: string) => string
  /** Gets the GUIDs of the snapshots that the change has destroyed. */
  destroyed: bigint[]
}

export interface Change {
  name: string
  /** What it can be done with. */
  fits: (dataset: DatasetState) => boolean
  /** It changes no more than that dataset's snapshots, bookmarks and bytes. */
  own?: boolean
  run: (scene: Scene, dataset: DatasetState) => Promise<void>
}

const anything = (dataset: DatasetState): boolean => !isHalfThere(dataset)
const isVolume = (dataset: DatasetState): boolean => dataset.type === 'volume' && !isHalfThere(dataset)
const isFilesystem = (dataset: DatasetState): boolean => dataset.type === 'filesystem' && !isHalfThere(dataset)
const isChild = ({ name }: DatasetState): boolean => name.includes('/')
const hasSnapshots = ({ snapshots }: DatasetState): boolean => snapshots.length > 0
const hasBookmarks = ({ bookmarks }: DatasetState): boolean => bookmarks.length > 0

const fullOf = ({ container }: Scene, { name }: DatasetState): string => `${container}/${name}`

function parentOf({ dice, state, container }: Scene): string {
  return `${container}/${dice.of([...state.values()].filter(isFilesystem)).name}`
}

function anySnapshot(scene: Scene, dataset: DatasetState): string {
  return `${fullOf(scene, dataset)}@${scene.dice.of(dataset.snapshots).name}`
}

/** A replica is read-only until somebody wants to write to it. */
async function write(scene: Scene, dataset: DatasetState): Promise<void> {
  const { dice } = scene
  const name = fullOf(scene, dataset)
  const blocks = 1 + dice.below(dice.chance(0.3) ? volumeBytes / blockBytes : 3)
  const offset = dice.below(volumeBytes / blockBytes - blocks + 1) * blockBytes
  const put = () => lzc.writeVolume(name, BigInt(offset), randomBytes(blocks * blockBytes))
  try {
    await put()
  } catch (error) {
    if (!(error instanceof FlockerError) || error.code !== 'READ_ONLY' || dice.chance(0.5)) throw error
    await setProperties(name, { readonly: 'off' })
    await put()
  }
}

async function destroySnapshots(
  scene: Scene,
  dataset: DatasetState,
  snapshots: DatasetState['snapshots'],
): Promise<void> {
  await lzc.destroySnapshots(snapshots.map(({ name }) => `${fullOf(scene, dataset)}@${name}`))
  scene.destroyed.push(...snapshots.map(({ guid }) => guid))
}

/** As `zfs rollback -r`: with the snapshots and bookmarks that are newer. */
async function rollBack(scene: Scene, dataset: DatasetState): Promise<void> {
  const { snapshots, bookmarks } = dataset
  const name = fullOf(scene, dataset)
  const to = scene.dice.chance(0.5) ? snapshots.length - 1 : scene.dice.below(snapshots.length)
  const target = snapshots[to] as DatasetState['snapshots'][number]
  await destroySnapshots(scene, dataset, snapshots.slice(to + 1))
  const newer = bookmarks.filter(({ createtxg }) => createtxg > target.createtxg)
  await lzc.destroyBookmarks(newer.map((point) => `${name}#${point.name}`))
  await lzc.rollbackTo(name, `${name}@${target.name}`)
}

async function destroy(scene: Scene, dataset: DatasetState): Promise<void> {
  const { name, snapshots, bookmarks } = dataset
  if ([...scene.state.keys()].some((other) => other.startsWith(`${name}/`))) return
  await destroySnapshots(scene, dataset, snapshots)
  await lzc.destroyBookmarks(bookmarks.map((point) => `${fullOf(scene, dataset)}#${point.name}`))
  await lzc.destroy(fullOf(scene, dataset))
}

export async function createVolume(name: string): Promise<void> {
  await lzc.create(name, {
    type: 'volume',
    properties: { volsize: volumeBytes, volblocksize: '8K', compression: 'off' },
  })
}

const changes: Record<string, Omit<Change, 'name'>> = {
  write: { fits: isVolume, own: true, run: write },
  snapshot: {
    own: true,
    fits: anything,
    run: (scene, dataset) => lzc.snapshot(`${fullOf(scene, dataset)}@${scene.name('s')}`),
  },
  'write and snapshot': {
    own: true,
    fits: isVolume,
    run: async (scene, dataset) => {
      await write(scene, dataset)
      await lzc.snapshot(`${fullOf(scene, dataset)}@${scene.name('s')}`)
    },
  },
  'snapshot all': {
    fits: ({ name }) => !isChild({ name } as DatasetState),
    run: (scene) => {
      const name = scene.name('all')
      const all = [...scene.state.values()].filter(anything)
      return lzc.snapshot(all.map((each) => `${fullOf(scene, each)}@${name}`))
    },
  },
  create: { fits: isFilesystem, run: (scene) => lzc.create(`${parentOf(scene)}/${scene.name('f')}`) },
  'create a volume': {
    fits: isFilesystem,
    run: async (scene, dataset) => {
      const name = `${fullOf(scene, dataset)}/${scene.name('d')}`
      await createVolume(name)
      await lzc.writeVolume(name, 0n, randomBytes(4 * blockBytes))
    },
  },
  bookmark: {
    own: true,
    fits: hasSnapshots,
    run: (scene, dataset) =>
      lzc.bookmark({ [`${fullOf(scene, dataset)}#${scene.name('b')}`]: anySnapshot(scene, dataset) }),
  },
  'destroy a bookmark': {
    own: true,
    fits: hasBookmarks,
    run: (scene, dataset) =>
      lzc.destroyBookmarks([`${fullOf(scene, dataset)}#${scene.dice.of(dataset.bookmarks).name}`]),
  },
  'destroy a snapshot': {
    own: true,
    fits: hasSnapshots,
    run: (scene, dataset) => destroySnapshots(scene, dataset, [scene.dice.of(dataset.snapshots)]),
  },
  'bookmark and destroy a snapshot': {
    own: true,
    fits: hasSnapshots,
    run: async (scene, dataset) => {
      const snapshot = scene.dice.of(dataset.snapshots)
      await lzc.bookmark({
        [`${fullOf(scene, dataset)}#${scene.name('b')}`]: `${fullOf(scene, dataset)}@${snapshot.name}`,
      })
      await destroySnapshots(scene, dataset, [snapshot])
    },
  },
  'roll back': { fits: hasSnapshots, own: true, run: rollBack },
  clone: {
    fits: hasSnapshots,
    run: (scene, dataset) => lzc.clone(anySnapshot(scene, dataset), `${parentOf(scene)}/${scene.name('c')}`),
  },
  promote: { fits: ({ origin }) => origin !== undefined, run: (scene, dataset) => lzc.promote(fullOf(scene, dataset)) },
  rename: {
    fits: isChild,
    run: (scene, dataset) => {
      const leaf = scene.dice.chance(0.5) ? dataset.name.slice(dataset.name.lastIndexOf('/') + 1) : scene.name('r')
      return lzc.rename(fullOf(scene, dataset), `${parentOf(scene)}/${leaf}`)
    },
  },
  // Of a clone's origin it changes what the clone says of itself.
  'rename a snapshot': {
    fits: hasSnapshots,
    run: (scene, dataset) => lzc.rename(anySnapshot(scene, dataset), `${fullOf(scene, dataset)}@${scene.name('n')}`),
  },
  destroy: { fits: isChild, run: destroy },
  hold: {
    own: true,
    fits: hasSnapshots,
    run: async (scene, dataset) => void (await lzc.hold({ [anySnapshot(scene, dataset)]: 'mine' })),
  },
  release: {
    own: true,
    fits: ({ snapshots }) => snapshots.some(({ held }) => held),
    run: async (scene, dataset) => {
      const snapshot = `${fullOf(scene, dataset)}@${scene.dice.of(dataset.snapshots.filter(({ held }) => held)).name}`
      await lzc.release({ [snapshot]: Object.keys(await lzc.getHolds(snapshot)) })
    },
  },
}

const all: Change[] = Object.entries(changes).map(([name, change]) => ({ name, ...change }))
const often = ['write', 'write and snapshot', 'snapshot all', 'destroy a snapshot']

/** Does something to one dataset of a host. Returns what, for the log, and the dataset if nothing else can have changed. */
export async function changeSomething(scene: Scene): Promise<{ what: string; changed?: DatasetState }> {
  const { dice, state } = scene
  const datasets = [...state.values()]
  if (datasets.length === 0) return { what: 'nothing, for there is nothing' }
  const possible = all.filter(({ fits }) => datasets.some(fits))
  const likely = possible.filter(({ name }) => often.includes(name))
  const change = dice.chance(0.35) && likely.length > 0 ? dice.of(likely) : dice.of(possible)
  const dataset = dice.of(datasets.filter(change.fits))
  const changed = change.own ? { changed: dataset } : {}
  const what = `${change.name} ${dataset.name}`
  try {
    await change.run(scene, dataset)
    return { what, ...changed }
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error
    return { what: `${what}: ${error.code}`, ...changed }
  }
}
