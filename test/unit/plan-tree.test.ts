import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FailedSteps } from '../../src/replication/planner/failed-steps.js'
import { nameFilter } from '../../src/replication/planner/filter.js'
import { formatBytes, formatPlan, planTotals } from '../../src/replication/planner/format-plan.js'
import { planTree, type TreePlanOptions } from '../../src/replication/planner/plan-tree.js'
import { type Tree, type TreeDataset, withSnapshotNow } from '../../src/replication/planner/tree.js'
import type { Finding, Step } from '../../src/replication/planner/tree-plan.js'
import { tokenOf } from './zfs-model.js'

/** `a1` is a point named a with GUID 1, made in transaction group 1: so GUIDs tell the order. */
function points(words = ''): { name: string; guid: bigint; createtxg: bigint }[] {
  const parsed = words.split(' ').filter((word) => word !== '')
  return parsed.map((word) => {
    const guid = BigInt(/\d+$/.exec(word)?.[0] ?? '0')
    return { name: word.replace(/\d+$/, ''), guid, createtxg: guid }
  })
}

type Extra = Partial<Pick<TreeDataset, 'type' | 'encrypted' | 'origin' | 'partial'>> & { bookmarks?: string }

function dataset(name: string, snapshots = '', { bookmarks = '', ...extra }: Extra = {}): TreeDataset {
  const plain = { type: 'filesystem' as const, guid: BigInt(name.length), encrypted: false }
  return { ...plain, name, snapshots: points(snapshots), bookmarks: points(bookmarks), ...extra }
}

const source = (...datasets: TreeDataset[]): Tree => ({ root: 'S', datasets })
const destination = (...datasets: TreeDataset[]): Tree => ({ root: 'D', datasets })
const root = dataset('', 'r1')
/** A clone's origin. */
const from = (name: string, guid: bigint) => ({ origin: { name: `S/${name}`, guid, createtxg: guid } })

function shortStep(step: Step): string {
  if (step.kind === 'rename') return `rename ${step.destination} ${step.to}`
  if (step.kind === 'create' || step.kind === 'discard') return `${step.kind} ${step.destination}`
  const base = 'from' in step && step.from ? ` from ${step.from.name}` : ''
  const origin = step.kind === 'clone' ? ` as clone of ${step.origin}` : ''
  return `${step.kind} ${step.snapshot}${base}${origin}${step.raw ? ' raw' : ''}`
}

function shortFinding(finding: Finding): string {
  const reason = 'reason' in finding ? ` ${finding.reason}` : ''
  return `${finding.kind} ${finding.destination}${reason}`
}

interface Case {
  title: string
  source: Tree
  destination: Tree
  options?: TreePlanOptions
  steps?: string[]
  findings?: string[]
}

const nothing = destination()
const clonePair = [dataset('a', 'x2 y4'), dataset('b', 'z5', from('a@x', 2n))] as const

const cases: Case[] = [
  // What is sent
  {
    title: 'a new tree: parents first, the newest snapshot of each',
    source: source(dataset('b/c', 'x3'), dataset('b', 'x2 y4'), root),
    destination: nothing,
    steps: ['full D@r', 'full D/b@y', 'full D/b/c@x'],
  },
  {
    title: 'initial: all begins with the oldest',
    source: source(dataset('', 'a1 b2 c3')),
    destination: nothing,
    options: { initial: 'all' },
    steps: ['full D@a', 'incremental D@b from S@a', 'incremental D@c from S@b'],
  },
  {
    title: 'initial: fail begins nothing, clones neither, and goes on with what is there',
    source: source(dataset('', 'r1 s9'), ...clonePair),
    destination: destination(root, dataset('a', 'x2')),
    options: { initial: 'fail' },
    steps: ['incremental D@s from S@r', 'incremental D/a@y from S/a@x'],
    findings: ['initial-refused D/b'],
  },
  { title: 'no step where all is current', source: source(root), destination: destination(root) },
  {
    title: 'all snapshots in between are brought, or none',
    source: source(dataset('', 'a1 b2 c3')),
    destination: destination(dataset('', 'a1')),
    steps: ['incremental D@b from S@a', 'incremental D@c from S@b'],
  },
  {
    title: 'intermediate: none',
    source: source(dataset('', 'a1 b2 c3')),
    destination: destination(dataset('', 'a1')),
    options: { intermediate: 'none' },
    steps: ['incremental D@c from S@a'],
  },
  {
    title: 'points match by GUID, whatever they are called',
    source: source(dataset('', 'new1 b2')),
    destination: destination(dataset('', 'old1')),
    steps: ['incremental D@b from S@new'],
  },
  {
    title: 'a name that the replica has for another snapshot gets the GUID appended',
    source: source(dataset('', 'older1 a26')),
    destination: destination(dataset('', 'a1')),
    steps: ['incremental D@a-1a from S@older'],
  },
  {
    title: 'a bookmark is a base where the snapshot is gone',
    source: source(dataset('', 'b2', { bookmarks: 'mark1' })),
    destination: destination(dataset('', 'a1')),
    steps: ['incremental D@b from S#mark'],
  },
  {
    title: 'only bookmarks left: nothing to send, and nothing wrong',
    source: source(dataset('', '', { bookmarks: 'mark1' })),
    destination: destination(dataset('', 'a1')),
  },
  {
    title: 'filtered snapshots are not sent, yet serve as bases',
    source: source(dataset('', 'skip1 a2 skip3 b4')),
    destination: destination(dataset('', 'skip1')),
    options: { snapshots: { exclude: ['sk*'] } },
    steps: ['incremental D@a from S@skip', 'incremental D@b from S@a'],
  },
  {
    title: 'no snapshot to send',
    source: source(root, dataset('a'), dataset('b', 'x2')),
    destination: destination(root),
    options: { snapshots: { include: [/^r/] } },
    findings: ['no-snapshot D/a', 'no-snapshot D/b'],
  },
  {
    title: 'volumes are sent as filesystems are',
    source: source(root, dataset('v', 'x2 y3', { type: 'volume' })),
    destination: destination(root, dataset('v', 'x2', { type: 'volume' })),
    steps: ['incremental D/v@y from S/v@x'],
  },
  {
    title: 'the snapshot that is taken now',
    source: withSnapshotNow(source(root, dataset('a')), 'now'),
    destination: destination(root),
    steps: ['incremental D@now from S@r', 'full D/a@now'],
  },

  // Which datasets
  {
    title: 'a dataset that was removed on the source is an orphan',
    source: source(root),
    destination: destination(root, dataset('gone', 'x2'), dataset('gone/too', 'x3')),
    findings: ['orphan D/gone', 'orphan D/gone/too'],
  },
  {
    title: 'excluded datasets are left alone, orphans too; an empty filesystem stands for a parent',
    source: source(root, dataset('skip', 'x2'), dataset('skip/a', 'x3')),
    destination: destination(root, dataset('skipped', 'y4')),
    options: { datasets: { exclude: ['skip*'] } },
    steps: ['create D/skip', 'full D/skip/a@x'],
  },
  {
    title: 'a parent without a snapshot',
    source: source(root, dataset('p'), dataset('p/a', 'x3')),
    destination: destination(root),
    steps: ['create D/p', 'full D/p/a@x'],
    findings: ['no-snapshot D/p'],
  },

  {
    title: 'and again: it stays what it is',
    source: source(root, dataset('p', 'manual2'), dataset('p/a', 'x3')),
    destination: destination(root, dataset('p'), dataset('p/a', 'x3')),
    options: { snapshots: { exclude: ['manual*'] } },
    findings: ['no-snapshot D/p'],
  },

  // Clones
  {
    title: 'a clone is sent with its origin, which comes first; its origin is brought even where others are skipped',
    source: source(root, dataset('a', 'z5', from('b@x', 3n)), dataset('b', 'w2 x3 y4')),
    destination: destination(root),
    steps: ['full D/b@x', 'incremental D/b@y from S/b@x', 'clone D/a@z from S/b@x as clone of D/b@x'],
  },
  {
    title: 'a clone of what is there already',
    source: source(root, ...clonePair),
    destination: destination(root, dataset('a', 'x2 y4')),
    steps: ['clone D/b@z from S/a@x as clone of D/a@x'],
  },
  {
    title: 'the origin goes by its name over there',
    source: source(root, ...clonePair),
    destination: destination(root, dataset('was', 'other2')),
    steps: ['rename D/was D/a', 'incremental D/a@y from S/a@x', 'clone D/b@z from S/a@x as clone of D/a@other'],
  },
  {
    title: 'a clone whose origin will not be there is sent in full',
    source: source(root, dataset('a', 'y4'), dataset('b', 'z5', from('outside@x', 2n))),
    destination: destination(root),
    steps: ['full D/a@y', 'full D/b@z'],
  },
  {
    title: 'the origin is older than what the replica begins with: in full',
    source: source(root, ...clonePair),
    destination: destination(root, dataset('a', 'y4')),
    steps: ['full D/b@z'],
  },
  {
    title: 'a clone that is above its own origin',
    source: source(root, dataset('a', 'y3', from('a/b@x', 2n)), dataset('a/b', 'x2 z4')),
    destination: destination(root),
    steps: ['full D/a@y', 'full D/a/b@z'],
  },
  {
    title: 'promoted: replicas stay clones of what they were, and go on',
    source: source(root, dataset('a', 'y4', from('b@x', 2n)), dataset('b', 'x2 z5 w6')),
    destination: destination(root, dataset('a', 'x2 y4'), dataset('b', 'z5')),
    steps: ['incremental D/b@w from S/b@z'],
  },
  {
    title:
      'gone back to a snapshot by clone, promote and rename: the replica follows its name, the branch begins as a clone',
    source: source(root, dataset('a', 'x2 z5'), dataset('old', 'y4', from('a@x', 2n))),
    destination: destination(root, dataset('a', 'x2 y4')),
    steps: ['rename D/a D/old', 'clone D/a@z from S/a@x as clone of D/old@x'],
  },

  // Renames
  {
    title: 'renamed on the source',
    source: source(root, dataset('b', 'x2 y3')),
    destination: destination(root, dataset('a', 'x2')),
    steps: ['rename D/a D/b', 'incremental D/b@y from S/b@x'],
  },
  {
    title: 'children follow; one that was renamed too is renamed after its parent',
    source: source(root, dataset('b', 'x2'), dataset('b/c', 'x3'), dataset('b/e', 'x4')),
    destination: destination(root, dataset('a', 'x2'), dataset('a/c', 'x3'), dataset('a/d', 'x4')),
    steps: ['rename D/a D/b', 'rename D/b/d D/b/e'],
  },
  {
    title: 'a swap goes through a temporary name',
    source: source(root, dataset('a', 'y3'), dataset('b', 'x2')),
    destination: destination(root, dataset('a', 'x2'), dataset('b', 'y3')),
    steps: ['rename D/a D/flocker-moving-1', 'rename D/b D/a', 'rename D/flocker-moving-1 D/b'],
  },
  {
    title: 'a row of renames needs none',
    source: source(root, dataset('b', 'x2'), dataset('c', 'y3'), dataset('d', 'z4')),
    destination: destination(root, dataset('a', 'x2'), dataset('b', 'y3'), dataset('c', 'z4')),
    steps: ['rename D/c D/d', 'rename D/b D/c', 'rename D/a D/b'],
  },
  {
    title: "a child in its parent's place, and the parent below it",
    source: source(root, dataset('a', 'y3'), dataset('a/b', 'x2')),
    destination: destination(root, dataset('a', 'x2'), dataset('a/b', 'y3')),
    steps: ['rename D/a D/flocker-moving-1', 'rename D/flocker-moving-1/b D/a', 'rename D/flocker-moving-1 D/a/b'],
  },
  {
    title: 'moved below a new dataset: that first',
    source: source(root, dataset('p', 'x4'), dataset('p/a', 'x2')),
    destination: destination(root, dataset('a', 'x2')),
    steps: ['full D/p@x', 'rename D/a D/p/a'],
  },
  {
    title: 'moved below a new dataset, and its name used again',
    source: source(root, dataset('a', 'x4'), dataset('a/b', 'x2')),
    destination: destination(root, dataset('a', 'x2')),
    steps: ['rename D/a D/flocker-moving-1', 'full D/a@x', 'rename D/flocker-moving-1 D/a/b'],
  },
  {
    title: 'out of an orphan',
    source: source(root, dataset('a', 'x3')),
    destination: destination(root, dataset('gone', 'x2'), dataset('gone/a', 'x3')),
    steps: ['rename D/gone/a D/a'],
    findings: ['orphan D/gone'],
  },
  {
    title: 'the name is taken by a stranger: kept up to date where it is, its new children below it',
    source: source(root, dataset('b', 'x2 y3'), dataset('b/new', 'z4')),
    destination: destination(root, dataset('a', 'x2'), dataset('b', 'q9')),
    steps: ['incremental D/a@y from S/b@x', 'full D/a/new@z'],
    findings: ['blocked D/a name-taken'],
  },
  {
    title: 'nothing moves below what may not begin',
    source: source(root, dataset('p', 'x4'), dataset('p/a', 'x2 y5')),
    destination: destination(root, dataset('a', 'x2')),
    options: { initial: 'fail' },
    steps: ['incremental D/a@y from S/p/a@x'],
    findings: ['blocked D/a parent-missing', 'initial-refused D/p'],
  },
  {
    title: 'nor below itself, where its new parent is left alone',
    source: source(root, dataset('c', 'x2'), dataset('c/a', 'y3 z4')),
    destination: destination(root, dataset('a', 'y3'), dataset('a/c', 'x2')),
    options: { datasets: { exclude: ['c'] } },
    steps: ['incremental D/a@z from S/c/a@y'],
    findings: ['blocked D/a parent-unusable'],
  },
  {
    title: 'nothing begins below a volume',
    source: source(root, dataset('p', 'x2'), dataset('p/a', 'y3')),
    destination: destination(root, dataset('p', 'q9', { type: 'volume' })),
    findings: ['blocked D/p/a parent-unusable', 'diverged D/p type-mismatch'],
  },
  {
    title: 'a copy that was kept under another name stays there',
    source: source(root, dataset('a', 'x2 y3')),
    destination: destination(root, dataset('a', 'x2'), dataset('a-kept', 'x2')),
    steps: ['incremental D/a@y from S/a@x'],
    findings: ['orphan D/a-kept'],
  },
  {
    title: 'so does a diverged one: a full stream takes its place',
    source: source(root, dataset('a', 'x2 y3')),
    destination: destination(root, dataset('a-kept', 'x2 q9')),
    steps: ['full D/a@y'],
    findings: ['orphan D/a-kept'],
  },

  // Divergence
  {
    title: 'nothing in common; the others go on',
    source: source(dataset('', 'r1 s5'), dataset('a', 'x2')),
    destination: destination(root, dataset('a', 'x9')),
    steps: ['incremental D@s from S@r'],
    findings: ['diverged D/a no-common-point'],
  },
  {
    title: 'newer on the destination; its children go on',
    source: source(root, dataset('a', 'x2 y4'), dataset('a/b', 'z3')),
    destination: destination(root, dataset('a', 'x2 q9')),
    steps: ['full D/a/b@z'],
    findings: ['diverged D/a destination-has-newer'],
  },
  {
    title: 'a dataset without snapshots is never overwritten',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a')),
    findings: ['diverged D/a no-common-point'],
  },
  {
    title: 'a filesystem here, a volume there',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a', 'x9', { type: 'volume' })),
    findings: ['diverged D/a type-mismatch'],
  },

  // Encryption
  {
    title: 'an encrypted dataset goes raw',
    source: source(root, dataset('e', 'x2', { encrypted: true })),
    destination: destination(root),
    steps: ['full D/e@x raw'],
  },
  {
    title: 'raw onto what is not encrypted is refused',
    source: source(root, dataset('e', 'x2 y3', { encrypted: true })),
    destination: destination(root, dataset('e', 'x2')),
    findings: ['refused D/e not-encrypted'],
  },
  {
    title: 'a plain replica below an encrypted parent goes on',
    source: source(root, dataset('e', 'x2 y3')),
    destination: destination(root, dataset('e', 'x2', { encrypted: true })),
    steps: ['incremental D/e@y from S/e@x'],
  },
  {
    title: 'a raw clone of what was not received raw goes in full',
    source: source(
      root,
      dataset('a', 'x2', { encrypted: true }),
      dataset('b', 'z5', { encrypted: true, ...from('a@x', 2n) }),
    ),
    destination: destination(root, dataset('a', 'x2')),
    steps: ['full D/b@z raw'],
    findings: ['refused D/a not-encrypted'],
  },

  // Partial receives
  {
    title: 'a partial receive is gone on with first',
    source: source(dataset('', 'a1 b2 c3')),
    destination: destination(dataset('', 'a1', { partial: partial('b2', 1n) })),
    options: { intermediate: 'none' },
    steps: ['resume D@b from S@a', 'incremental D@c from S@b'],
  },
  {
    title: 'a first one too, before its children',
    source: source(root, dataset('a', 'x2 y3'), dataset('a/b', 'z4')),
    destination: destination(root, dataset('a', '', { partial: partial('x2') })),
    steps: ['resume D/a@x', 'incremental D/a@y from S/a@x', 'full D/a/b@z'],
  },
  {
    title: 'one of a clone',
    source: source(root, ...clonePair),
    destination: destination(root, dataset('a', 'x2 y4'), dataset('b', '', { partial: partial('z5', 2n) })),
    steps: ['resume D/b@z from S/a@x'],
  },
  {
    title: 'renamed since',
    source: source(root, dataset('b', 'x2')),
    destination: destination(root, dataset('a', '', { partial: partial('x2') })),
    steps: ['rename D/a D/b', 'resume D/b@x'],
  },
  ...stale('its snapshot is gone', dataset('', 'a1 c3'), partial('b2', 1n)),
  ...stale('its base is gone, or never was', dataset('', 'a1 b2'), partial('b2', 7n)),
  ...stale('it is not raw, and would be now', dataset('', 'a1 b2', { encrypted: true }), partial('b2', 1n), true),
  ...stale('its token is none', dataset('', 'a1 b2'), 'unreadable'),
  {
    title: 'a stale beginning: nothing below it',
    source: source(root, dataset('a', 'x2'), dataset('a/b', 'z4')),
    destination: destination(root, dataset('a', '', { partial: { ...partial('x2'), raw: true } })),
    findings: ['blocked D/a/b parent-unusable', 'partial-stale D/a'],
  },
  {
    title: 'a beginning of what the source does not have any more',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a', '', { partial: partial('q9') })),
    findings: ['partial-stale D/a'],
  },
  {
    title: 'which is discarded if the caller says so',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a', '', { partial: partial('q9') })),
    options: { partial: 'discard' },
    steps: ['discard D/a', 'full D/a@x'],
  },
  {
    title: 'but not where nothing may begin',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a', '', { partial: partial('x2') })),
    options: { partial: 'discard', initial: 'fail' },
    findings: ['partial-stale D/a'],
  },
  {
    title: 'discarded if the caller says so',
    source: source(root, dataset('a', 'x2'), dataset('b', 'y3 z4')),
    destination: destination(
      root,
      dataset('a', '', { partial: partial('x2') }),
      dataset('b', 'y3', { partial: partial('q9', 3n) }),
    ),
    options: { partial: 'discard' },
    steps: ['discard D/a', 'full D/a@x', 'discard D/b', 'incremental D/b@z from S/b@y'],
  },
  {
    title: 'not where there is nothing to begin again',
    source: source(root, dataset('a')),
    destination: destination(root, dataset('a', '', { partial: partial('x2') })),
    options: { partial: 'discard' },
    findings: ['partial-stale D/a'],
  },
  {
    title: 'nothing is discarded where that would help nothing',
    source: source(root, dataset('a', 'x2')),
    destination: destination(root, dataset('a', 'x2 q9', { partial: partial('x2', 1n) })),
    options: { partial: 'discard' },
    findings: ['diverged D/a destination-has-newer'],
  },
]

function partial(word: string, fromguid?: bigint) {
  const [to] = points(word)
  return tokenOf({ to: { ...(to as ReturnType<typeof points>[0]), content: 0 }, fromguid, raw: false })
}

function stale(title: string, there: TreeDataset, left: TreeDataset['partial'], encrypted = false): Case[] {
  const replica = dataset('', 'a1', { partial: left, encrypted })
  return [{ title, source: source(there), destination: destination(replica), findings: ['partial-stale D'] }]
}

for (const { title, steps = [], findings = [], ...given } of cases) {
  test(title, () => {
    const plan = planTree(given.source, given.destination, given.options)
    assert.equal(plan.steps.map(shortStep), steps)
    assert.equal(plan.findings.map(shortFinding), findings)
    for (const { why } of [...plan.steps, ...plan.findings]) assert.ok(why.length > 10, 'everything has its reason')
  })
}

test('a full stream of a clone says why it is one', () => {
  const [, step] = planTree(source(root, dataset('b', 'z5', from('o@x', 2n))), nothing).steps
  assert.match(step?.why ?? '', 'nor will it have S/o@x, which it is a clone of')
})

test('a divergence tells both histories, the last common point, and what would be lost', () => {
  const plan = planTree(source(dataset('', 'a1 b2 c4 d5')), destination(dataset('', 'a1 B2 x8 y9')))
  const [finding] = plan.findings
  if (finding?.kind !== 'diverged') throw new Error('no divergence')
  assert.is(finding.common?.name, 'B')
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name)
  assert.equal(names(finding.onlyOnDestination), ['y', 'x'])
  assert.equal(names(finding.onlyOnSource), ['d', 'c'])
})

test('a replica with other IVs is refused, where both sides tell', () => {
  const iv = (tree: Tree, ivsetGuid: bigint): Tree => {
    const datasets = tree.datasets.map((d) => ({ ...d, snapshots: d.snapshots.map((s) => ({ ...s, ivsetGuid })) }))
    return { ...tree, datasets }
  }
  const here = source(dataset('', 'a1 b2', { encrypted: true }))
  const there = destination(dataset('', 'a1', { encrypted: true }))
  assert.equal(planTree(iv(here, 5n), iv(there, 6n)).findings.map(shortFinding), ['refused D iv-set'])
  for (const [a, b] of [
    [iv(here, 5n), iv(there, 5n)],
    [here, iv(there, 6n)],
  ] as const) {
    assert.equal(planTree(a, b).steps.map(shortStep), ['incremental D@b from S@a raw'])
  }
})

test('where a step fails, what needs it is left out, and nothing else', () => {
  const here = source(
    dataset('', 'r1 s9'),
    ...[dataset('a', 'x2 y4'), dataset('a/b', 'z3'), dataset('c', 'w6', from('a@x', 2n)), dataset('e', 'v7')],
    dataset('new', 'u8'),
  )
  const { steps } = planTree(here, destination(root, dataset('old', 'u8'), dataset('old/f', 'q5')))
  const without = (kind: Step['kind'], name: string): string[] => {
    const failed = new FailedSteps()
    return steps
      .filter((step) => {
        const out = failed.blocks(step) || (step.kind === kind && step.destination === name)
        if (out) failed.add(step)
        return !out
      })
      .map(shortStep)
  }
  const rename = 'rename D/old D/new'
  const [own, e] = ['incremental D@s from S@r', 'full D/e@v']
  assert.equal(without('full', 'D/a'), [rename, own, e], 'its increments, its child, and its clone')
  assert.is(without('incremental', 'D').length, steps.length - 1)
  assert.is(without('rename', 'D/old').length, steps.length - 1)
  assert.is(without('full', 'D/e').length, steps.length - 1)
})

test('an inventory that is no tree is refused', () => {
  for (const bad of [source(root, root), source(root, dataset('a/b', 'x2'))]) {
    assert.throws(
      () => planTree(bad, nothing),
      (error: { code: string }) => error.code === 'INVALID_ARGUMENT',
    )
  }
})

test('globs match whole names, expressions as they stand; what is excluded is out', () => {
  const matches = (pattern: string | RegExp, name: string) => nameFilter({ include: [pattern] })(name)
  for (const [pattern, name, expected] of [
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['**', 'a/b', true],
    ['a/?', 'a/b', true],
    ['a.c', 'abc', false],
    ['b', 'abc', false],
    [/b/, 'abc', true],
    [/b/g, 'abc', true],
  ] as const) {
    assert.is(matches(pattern, name), expected, `${pattern} ${name}`)
    assert.is(matches(pattern, name), expected, 'and again')
  }
  assert.not(nameFilter({ include: ['a*'], exclude: [/x$/] })('ax'))
})

test('a plan for people: sizes, what is absurd left out, totals', () => {
  const plan = planTree(
    source(dataset('', 'r1 s5'), dataset('a', 'x2'), dataset('c', 'x3'), dataset('d', 'w6')),
    destination(root, dataset('a', 'q9'), dataset('b', 'x3')),
  )
  const sends = plan.steps.filter(({ kind }) => kind !== 'rename')
  const sizes = new Map<Step, bigint>([
    [sends[0] as Step, 3n << 29n],
    [sends[1] as Step, 2n ** 64n - 5n],
  ])
  assert.equal(planTotals(plan, sizes), { streams: 2, bytes: 3n << 29n, unknown: 1 })
  assert.is(
    formatPlan(plan, sizes),
    `S -> D
rename        D/b -> D/c
              it is the replica of S/c, by the GUIDs of their snapshots
incremental   S@r .. S@s -> D@s  1.5 GiB
              the replica has S@r
full          S/d@w -> D/d@w
              the destination does not have it
! diverged    S/a -> D/a
              the two have no snapshot or bookmark in common to go on from
              last common: none
              only there: @q guid 9
              only here: @x guid 2
2 streams, 1 other step, at least 1.5 GiB, 1 of unknown size, 1 finding
`,
  )
  assert.is(formatPlan(planTree(source(root), destination(root))), 'S -> D\nNothing to do: all is current.\n')
  assert.equal([0n, 1023n, 1024n, 2n ** 70n].map(formatBytes), ['0 B', '1023 B', '1.0 KiB', '1024.0 EiB'])
})

test('what planning costs grows with the snapshots, not with their square', () => {
  const big = (tree: string, datasets: number, snapshots: number): [Tree, () => number] => {
    let reads = 0
    const point = (d: number, i: number) => ({
      name: `s${i}`,
      createtxg: BigInt(i),
      get guid() {
        reads++
        return BigInt(d * 1e6 + i)
      },
    })
    const names = Array.from({ length: datasets }, (_, d) => (d === 0 ? '' : `d${d}`))
    const made = names.map((name, d) => ({
      ...dataset(name),
      snapshots: Array.from({ length: snapshots }, (_, i) => point(d, i)),
    }))
    return [{ root: tree, datasets: made }, () => reads]
  }
  for (const [datasets, each] of [
    [1, 20_000],
    [200, 100],
  ] as const) {
    for (const known of [each, each / 2, 0]) {
      const [here, readsHere] = big('S', datasets, each)
      const [there, readsThere] = big('D', datasets, known)
      const plan = planTree(here, known === 0 ? nothing : there, { initial: 'all' })
      assert.is(plan.steps.length, datasets * (each - known))
      assert.ok(readsHere() + readsThere() < 12 * datasets * each, `${readsHere() + readsThere()} GUIDs were read`)
    }
  }
})

test.run()
