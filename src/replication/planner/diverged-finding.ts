import { type Inventory, newestFirst } from './inventory.js'
import { baseWithGuid, type Divergence } from './plan.js'
import type { TreeDataset } from './tree.js'
import type { DivergedFinding } from './tree-plan.js'

/** Says of two datasets what both histories are since their last common point. */
export function divergedFinding(
  source: Inventory,
  dataset: TreeDataset,
  replica: TreeDataset,
  destination: string,
  divergence: Divergence,
): DivergedFinding {
  const { common, onlyOnDestination } = divergence
  const reason = replica.type !== dataset.type ? 'type-mismatch' : divergence.reason
  const since = common && baseWithGuid(source, common.guid)?.createtxg
  const newer = source.snapshots.filter(({ createtxg }) => since === undefined || createtxg > since)
  const onlyOnSource = newestFirst(newer)
  const why = sentence(reason, dataset, replica, onlyOnDestination.length)
  return {
    kind: 'diverged',
    source: source.dataset,
    destination,
    ...{ reason, common, onlyOnDestination, onlyOnSource, why },
  }
}

function sentence(reason: DivergedFinding['reason'], source: TreeDataset, replica: TreeDataset, newer: number): string {
  if (reason === 'type-mismatch') return `it is a ${source.type} here and a ${replica.type} there`
  if (replica.snapshots.length === 0) {
    return 'the destination has a dataset without a snapshot, and a full stream would replace it'
  }
  if (reason === 'no-common-point') return 'the two have no snapshot or bookmark in common to go on from'
  return `the destination has ${newer} newer ${newer === 1 ? 'snapshot' : 'snapshots'} that the source does not have`
}
