import type { TreeDataset, TreeSnapshot } from './tree.js'
import type { RefusedFinding } from './tree-plan.js'

/**
 * Why a destination would refuse the raw stream that an encrypted dataset makes, which the kernel notices only as it arrives
 * (dmu_recv.c, dsl_crypt.c: a raw stream needs an encrypted dataset with the base's set of IVs). `undefined` where it wouldn't.
 *
 * @param base the GUID of the point that the stream starts from
 * @param there the destination's snapshot with that GUID
 */
export function rawRefusal(
  dataset: TreeDataset,
  base: bigint,
  there: { encrypted: boolean; ivsetGuid: bigint | undefined },
): Pick<RefusedFinding, 'reason' | 'why'> | undefined {
  if (!dataset.encrypted) return undefined
  if (!there.encrypted) {
    return {
      reason: 'not-encrypted',
      why: 'the source is encrypted and goes as a raw stream, and the replica, which was not received raw, is not encrypted',
    }
  }
  const ours = ivsetOf(dataset, base)
  if (ours === undefined || there.ivsetGuid === undefined || ours === there.ivsetGuid) return undefined
  return {
    reason: 'iv-set',
    why: 'the source goes as a raw stream, and the replica, which was not received raw, is encrypted with other IVs',
  }
}

function ivsetOf({ snapshots, origin }: TreeDataset, guid: bigint): bigint | undefined {
  const points: readonly TreeSnapshot[] = origin === undefined ? snapshots : [...snapshots, origin]
  return points.find((point) => point.guid === guid)?.ivsetGuid
}
