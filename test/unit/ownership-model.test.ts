/** Walks through every world of the model: never two that write, never an acknowledged write lost, always back to one owner. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { heal, hosts, keyOf, start, successors, type World } from './ownership-model.js'

/** FLOCKER_ZFS_MODEL=deep: more of everything, for some minutes. */
const deep = process.env.FLOCKER_ZFS_MODEL === 'deep'

interface Visit {
  world: World
  event: string
  before: Visit | undefined
}

function storyOf(visit: Visit | undefined): string {
  const events: string[] = []
  for (let at = visit; at !== undefined; at = at.before) events.unshift(at.event)
  return events.join('\n  ')
}

/** Visits all worlds that can come of one. */
function explore(first: World, check: (visit: Visit) => void): number {
  const seen = new Set([keyOf(first)])
  const queue: Visit[] = [{ world: first, event: 'start', before: undefined }]
  for (let visit = queue.pop(); visit !== undefined; visit = queue.pop()) {
    check(visit)
    for (const { event, world } of successors(visit.world)) {
      const key = keyOf(world)
      if (seen.has(key)) continue
      seen.add(key)
      queue.push({ world, event, before: visit })
    }
  }
  return seen.size
}

/** Where no event is left, everything is settled; it must come to that whatever comes first. */
const settled = new Map<string, string | undefined>()

function troubleAfterHealing(world: World): string | undefined {
  const healed = heal(world)
  const known = settled.get(keyOf(healed))
  if (settled.has(keyOf(healed))) return known
  let trouble: string | undefined
  explore(healed, (visit) => {
    const { world: each } = visit
    const found = bothServe(each) ?? ([...successors(each)].length === 0 ? unsettled(each) : undefined)
    if (found !== undefined)
      trouble ??= `${found}, after both have been restarted and\n  ${storyOf(visit)}\n${keyOf(each)}\n  before that`
  })
  settled.set(keyOf(healed), trouble)
  return trouble
}

const bothServe = ({ a, b }: World): string | undefined => (a.serving && b.serving ? 'both serve it' : undefined)

function unsettled({ a, b, acknowledged, promoted }: World): string | undefined {
  const serving = hosts.filter((name) => ({ a, b })[name].serving)
  const [owner] = serving
  if (serving.length !== 1 || owner === undefined) return `${serving.length} hosts serve it in the end`
  if (a.standing.owner.host !== owner || b.standing.owner.host !== owner) return 'they do not agree who owns it'
  if (a.standing.journal !== undefined || b.standing.journal !== undefined) return 'a journal is left'
  if (!promoted && { a, b }[owner].head !== acknowledged) return 'an acknowledged write is lost'
  return undefined
}

function lostWrite({ a, b, acknowledged, promoted }: World): string | undefined {
  if (promoted) return undefined
  return hosts.some((name) => ({ a, b })[name].serving && { a, b }[name].head < acknowledged)
    ? 'a host serves it without an acknowledged write'
    : undefined
}

const bounds: [string, World['left']][] = [
  ['a handoff, and crashes', { writes: 1, handoffs: 1, crashes: 2, promotions: 0, losses: 1 }],
  ['handoffs from either end at once', { writes: 1, handoffs: 2, crashes: 1, promotions: 0, losses: 1 }],
  ['a handoff, a crash and a promotion', { writes: 2, handoffs: 1, crashes: 2, promotions: 1, losses: 0 }],
  ...(deep
    ? ([['more of it', { writes: 2, handoffs: 2, crashes: 2, promotions: 1, losses: 1 }]] as [string, World['left']][])
    : []),
]

for (const [name, left] of bounds) {
  test(name, () => {
    const started = performance.now()
    const worlds = explore(start(left), (visit) => {
      const trouble = bothServe(visit.world) ?? lostWrite(visit.world) ?? troubleAfterHealing(visit.world)
      if (trouble !== undefined) assert.unreachable(`${trouble}\n  ${storyOf(visit)}\n${keyOf(visit.world)}`)
    })
    console.log(`\nmeasured: ${name}: ${worlds} worlds in ${Math.round(performance.now() - started)} ms`)
  })
}

test.run()
