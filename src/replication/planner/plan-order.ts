import { parentName, type TreeDataset } from './tree.js'

/**
 * The order in which datasets are sent: parents before children, and where that leaves a choice, origins before clones.
 *
 * @param datasets by name, parents first
 * @param origins the dataset that a clone's origin is a snapshot of
 */
export function sendOrder(
  datasets: ReadonlyMap<string, TreeDataset>,
  origins: ReadonlyMap<TreeDataset, TreeDataset>,
): TreeDataset[] {
  const order = new Set<TreeDataset>()
  const open = new Set<TreeDataset>()
  const parentOf = ({ name }: TreeDataset): TreeDataset | undefined => {
    const above = parentName(name)
    return above === undefined ? undefined : datasets.get(above)
  }
  /** A clone that is above its own origin can't wait for it (zfs-promote(8) makes such). */
  const wouldWaitForItself = (dataset: TreeDataset): boolean => {
    for (let at: TreeDataset | undefined = dataset; at !== undefined; at = parentOf(at)) if (open.has(at)) return true
    return false
  }
  for (const first of datasets.values()) {
    const stack = [first]
    for (let dataset = stack.at(-1); dataset !== undefined; dataset = stack.at(-1)) {
      if (!order.has(dataset)) {
        open.add(dataset)
        const parent = parentOf(dataset)
        const origin = origins.get(dataset)
        if (parent !== undefined && !order.has(parent)) {
          stack.push(parent)
          continue
        }
        if (origin !== undefined && !order.has(origin) && !wouldWaitForItself(origin)) {
          stack.push(origin)
          continue
        }
        open.delete(dataset)
        order.add(dataset)
      }
      stack.pop()
    }
  }
  return [...order]
}
