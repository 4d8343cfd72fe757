import { exists } from '../lzc/index.js'
import { type Handler, handle, type Verb } from '../transport/index.js'
import { LocalDestination } from './local-destination.js'
import { listTree as listTreeMethod, maxPagePoints, readPoints as readPointsMethod } from './messages.js'
import { fullName } from './planner/tree.js'
import { listTree, readPoints } from './read-tree.js'
import type { Gate, ServeSettings, Shows } from './serve.js'
import { cutHistory, type History, pageOf, visible } from './tree-pages.js'

const verbs: Record<'source' | 'destination', Verb> = { source: 'send', destination: 'inspect' }

/** This host as either side of a replication of whole trees: tells what there is. */
export function serveTree(settings: ServeSettings, allowed: Gate, shows: Shows): Handler[] {
  const destination = new LocalDestination(settings)
  return [
    handle(listTreeMethod, async ({ side, volume, recursive, after }, { peer, signal }) => {
      const root = allowed(volume, peer, verbs[side])
      if (side === 'destination' && after === undefined) await destination.settled(volume)
      const listed = await listTree(root, recursive, signal)
      const shown = visible(listed, (name) => shows(fullName(root, name), peer, verbs[side]))
      return { root, ...pageOf(shown.filter(({ name }) => after === undefined || name > after)) }
    }),
    handle(readPointsMethod, async ({ side, volumes, after }, { peer, signal }) => {
      const histories: History[] = []
      let room = maxPagePoints
      for (const volume of volumes) {
        const dataset = allowed(volume, peer, verbs[side])
        // It can be gone since it was listed.
        const points = (await exists(dataset)) ? await readPoints(dataset, [dataset], peer, signal) : undefined
        const history = cutHistory(points?.get(dataset), histories.length === 0 ? after : 0n, room)
        if (history === undefined) break
        histories.push(history)
        room -= history.snapshots.length + history.bookmarks.length
        if (history.more) break
      }
      return { histories }
    }),
  ]
}
