/** What a tree's replication must have come to: all is up to date, or a finding or an error says rightly why not. */
import * as assert from 'uvu/assert'
import type { Finding, FlockerError, TreeReplicationOptions, TreeReplicationResult } from '../../../src/index.js'
import { follows } from './expectation.js'
import { told } from './ledger.js'
import { type DatasetState, isHalfThere, newestOf, pointsOf, type State } from './state.js'

export interface Judged {
  source: State
  destination: State
  /** Datasets of the destination that had been written to since their newest snapshot before, by GUID. */
  modified: ReadonlySet<bigint>
  /** Names below the histories' own dataset. */
  root: string
  options: TreeReplicationOptions
}

export function judgeTree(
  judged: Judged,
  { source: root, destination, outcomes, findings }: TreeReplicationResult,
): void {
  const excused = new Set<string>()
  for (const outcome of outcomes) {
    if (outcome.kind === 'done') continue
    excused.add(relative(root, outcome.step.source))
    if (outcome.kind === 'failed')
      checkFailure(judged, relative(destination, outcome.step.destination), outcome.error as FlockerError)
  }
  for (const finding of findings) checkFinding(judged, finding, root, destination)
  const blocked = new Map<string, string>()
  for (const finding of findings) {
    if (!('source' in finding)) continue
    const name = relative(root, finding.source)
    if (finding.kind === 'blocked') blocked.set(name, relative(destination, finding.destination))
    else excused.add(name)
  }
  for (const dataset of judged.source.values()) {
    const name = below(judged.root, dataset.name)
    if (name === undefined || !isSelected(judged.options, name) || excused.has(name)) continue
    checkCurrent(judged, dataset, name, blocked)
  }
}

/** The name below the tree's root. */
const relative = (root: string, full: string): string => full.slice(root.length + 1)

function below(root: string, name: string): string | undefined {
  if (name === root) return ''
  return name.startsWith(`${root}/`) ? name.slice(root.length + 1) : undefined
}

const nameAt = (root: string, name: string): string => (name === '' ? root : `${root}/${name}`)

function isSelected({ datasets, recursive = true }: TreeReplicationOptions, name: string): boolean {
  return (recursive || name === '') && (datasets === undefined || !/c[^/]*$/.test(name))
}

function isSent({ snapshots }: TreeReplicationOptions, { name }: { name: string }): boolean {
  return snapshots === undefined || !name.startsWith('s1')
}

/** Nobody else is at work, so a step fails only where a stream would throw away what was written to the replica. */
function checkFailure({ destination, modified, root }: Judged, name: string, error: FlockerError): void {
  const replica = destination.get(nameAt(root, name))
  const isModified = error.code === 'DESTINATION_MODIFIED' && replica !== undefined && modified.has(replica.guid)
  if (!isModified)
    throw new Error(`a step for ${nameAt(root, name)} failed without a reason: ${told(error)}`, { cause: error })
}

function checkCurrent(judged: Judged, dataset: DatasetState, name: string, blocked: ReadonlyMap<string, string>): void {
  const { destination, root, options } = judged
  const displaced = [...blocked.keys()].some((other) => name === other || name.startsWith(`${other}/`))
  const where = displaced
    ? [...destination.values()].filter((replica) => follows(replica, dataset))
    : [destination.get(nameAt(root, name))].filter((replica) => replica !== undefined)
  if (displaced && where.length === 0) return
  const wanted = dataset.snapshots.filter((point) => isSent(options, point)).at(-1)
  const isCurrent = where.some((replica) => {
    const known = pointsOf(dataset).find(({ guid }) => guid === newestOf(replica)?.guid)
    return known !== undefined && (wanted === undefined || wanted.createtxg <= known.createtxg)
  })
  assert.ok(isCurrent, `${dataset.name} is behind, and nothing says so`)
}

function checkFinding(judged: Judged, finding: Finding, from: string, to: string): void {
  const { source, destination, root, options } = judged
  const replica = destination.get(nameAt(root, relative(to, finding.destination)))
  const what = `${finding.kind}: ${finding.destination}: ${finding.why}`
  if (finding.kind === 'orphan') {
    assert.ok(replica, what)
    return
  }
  const dataset = source.get(nameAt(root, relative(from, finding.source)))
  assert.ok(dataset, what)
  if (dataset === undefined) return
  if (finding.kind === 'diverged') {
    assert.ok(replica !== undefined && (replica.type !== dataset.type || !follows(replica, dataset)), what)
    const known = new Set(pointsOf(dataset).map(({ guid }) => guid))
    for (const { guid } of finding.onlyOnDestination) assert.not(known.has(guid), what)
  } else if (finding.kind === 'partial-stale') assert.ok(replica?.partial !== undefined, what)
  else if (finding.kind === 'initial-refused') assert.is(options.initial, 'fail', what)
  else if (finding.kind === 'no-snapshot') {
    assert.ok(!dataset.snapshots.some((point) => isSent(options, point)) || isHalfThere(dataset), what)
  } else assert.is(finding.kind, 'blocked', what)
}
