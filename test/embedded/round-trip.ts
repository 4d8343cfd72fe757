/**
 * There and back: a dataset goes from one side to the other and is given back, by a full stream, an increment from a bookmark and
 * one from a snapshot, each broken off and resumed with the other side's token; so does a clone. Then the other side changes it.
 */
import * as assert from 'uvu/assert'
import { type Content, datasetOf, rawBit, type Side } from './side.js'

interface Hop {
  from: Side
  to: Side
  flags: number
}

type Way = (hop: Hop, snapshot: string, target: string, base?: string, origin?: string) => Promise<void>

const inOne: Way = async ({ from, to, flags }, snapshot, target, base, origin) => {
  const stream = await from.send(snapshot, base === undefined ? { flags } : { flags, from: base })
  await to.receive(target, stream, origin === undefined ? {} : { origin })
}

/** Cut, then resumed from where the receiver says. */
const inTwo: Way = async ({ from, to, flags }, snapshot, target, base) => {
  const sending = base === undefined ? { flags } : { flags, from: base }
  const whole = await from.send(snapshot, sending)
  await to.receive(target, whole.subarray(0, Math.floor(whole.length * 0.7)), { cut: true })
  const token = await to.token(datasetOf(target))
  assert.match(token, /^1-/, `${target} has no resume token`)
  const rest = await from.send(snapshot, { ...sending, token })
  assert.ok(rest.length < whole.length, `${target}: ${rest.length} bytes are left of ${whole.length}`)
  await to.receive(target, rest)
}

async function fill(side: Side, dataset: string, content: Content): Promise<void> {
  await side.create(dataset, content)
  for (const [number, name] of ['a', 'b', 'c'].entries()) {
    if (side.canChange(content)) await side.change(dataset, content, number)
    await side.snapshot(`${dataset}@${name}`)
  }
  await side.bookmark(`${dataset}#a`, `${dataset}@a`)
}

async function bring(way: Way, hop: Hop, dataset: string, target: string): Promise<void> {
  await way(hop, `${dataset}@a`, `${target}@a`)
  await way(hop, `${dataset}@b`, `${target}@b`, `${dataset}#a`)
  await way(hop, `${dataset}@c`, `${target}@c`, `${dataset}@b`)
}

/**
 * @param name of the dataset in either pool; not to be there yet
 * @param plainFlags lzc_send's flags for a stream that is not raw
 */
export async function roundTrip(
  name: string,
  home: Side,
  away: Side,
  content: Content,
  plainFlags: number,
): Promise<void> {
  const [ours, theirs, back] = [`${home.pool}/${name}`, `${away.pool}/${name}`, `${home.pool}/${name}-back`]
  const flags = content.encrypted ? rawBit | plainFlags : plainFlags
  const there: Hop = { from: home, to: away, flags }
  const here: Hop = { from: away, to: home, flags }
  // A filesystem that nobody has written to has nothing to break off in.
  const way = home.canChange(content) ? inTwo : inOne
  const same = async (...places: [Side, string][]): Promise<void> => {
    const sums: (string | undefined)[] = []
    for (const [side, dataset] of places) sums.push(await side.sum(dataset, content))
    const known = new Set(sums.filter((sum) => sum !== undefined))
    assert.is(known.size, 1, places.map(([, dataset], i) => `${dataset} ${sums[i]}`).join(', '))
  }
  const loadKeys = async (...places: [Side, string][]): Promise<void> => {
    if (content.encrypted) for (const [side, dataset] of places) await side.loadKey(dataset)
  }

  await fill(home, ours, content)
  await bring(way, there, ours, theirs)
  await away.bookmark(`${theirs}#a`, `${theirs}@a`)
  await bring(way, here, theirs, back)
  await loadKeys([away, theirs], [home, back])
  await same([home, ours], [away, theirs], [home, back])

  await home.clone(`${ours}-clone`, `${ours}@b`)
  if (home.canChange(content)) await home.change(`${ours}-clone`, content, 5)
  await home.snapshot(`${ours}-clone@x`)
  await inOne(there, `${ours}-clone@x`, `${theirs}-clone@x`, `${ours}@b`, `${theirs}@b`)
  await inOne(here, `${theirs}-clone@x`, `${back}-clone@x`, `${theirs}@b`, `${back}@b`)
  await same([home, `${ours}-clone`], [away, `${theirs}-clone`], [home, `${back}-clone`])

  // What the other side makes of it comes home as an increment, onto the very dataset that it all began with too.
  if (!away.canChange(content)) return
  await away.change(theirs, content, 4)
  await away.snapshot(`${theirs}@d`)
  await inTwo(here, `${theirs}@d`, `${back}@d`, `${theirs}@c`)
  await inOne(here, `${theirs}@d`, `${ours}@d`, `${theirs}@c`)
  // Where home can't look into it, the other side looks at what it gets of it.
  await inTwo(there, `${ours}@d`, `${theirs}-again@d`)
  await loadKeys([away, `${theirs}-again`])
  await same([away, theirs], [home, ours], [home, back], [away, `${theirs}-again`])
}
