/**
 * What a former owner has and the present one does not: it stays under another name, and a replica takes its place that the next
 * increment fits on. Nothing is copied: the two share what they have in common.
 */
import { getProperties, inheritProperty, listDatasets, unmount } from '../datasets/index.js'
import { clone, exists, isEmbedded, promote, rename } from '../lzc/index.js'
import { timeStamp } from '../replication/index.js'
import type { VolumesHost } from './context.js'
import { takeStep } from './events.js'
import { type HistoryPoint, readHistory } from './history.js'
import { changeRecord, endRecord, ownProperties, recordNames } from './record.js'

/**
 * Settles a former owner's dataset, once the present owner has said what it has.
 * @param has GUIDs of the owner's snapshots
 * @returns the full name of what is kept, where there was something unsent
 */
export async function settleFormer(
  host: VolumesHost,
  dataset: string,
  has: ReadonlySet<bigint>,
): Promise<string | undefined> {
  const history = await readHistory(dataset)
  const common = history.find(({ guid }) => has.has(guid))
  if (common !== undefined && common === history[0] && !(await isWrittenTo(dataset))) {
    await changeRecord(dataset, () => ({ former: false }))
    return undefined
  }
  return takeStep(host.logger, dataset, 'setAside', () => setAside(dataset, common))
}

async function isWrittenTo(dataset: string): Promise<boolean> {
  const { written } = await getProperties(dataset, ['written'])
  return written?.value !== 0n
}

async function setAside(dataset: string, common: HistoryPoint | undefined): Promise<string> {
  const kept = `${dataset}-unsent-${timeStamp(new Date())}`
  if (common === undefined) {
    await moveAway(dataset, kept)
    return kept
  }
  const replacement = `${kept}-replica`
  const record = ownProperties(await getProperties(dataset, Object.values(recordNames)))
  const { [recordNames.former]: _, ...own } = record
  const { type } = await getProperties(dataset, ['type'])
  await clone(`${dataset}@${common.name}`, replacement, {
    properties: {
      ...own,
      [recordNames.becomes]: `${dataset} ${kept}`,
      readonly: 'on',
      ...(type?.value === 'filesystem' ? { canmount: 'noauto' } : {}),
    },
  })
  await takePlace(replacement, dataset, kept)
  return kept
}

/** What a crash has left of {@link setAside} goes on here. */
export async function finishSettingAside(host: VolumesHost): Promise<void> {
  if (!(await exists(host.root))) return
  const found: { replacement: string; dataset: string; kept: string }[] = []
  const properties = [recordNames.becomes]
  for await (const { name, properties: read } of listDatasets(host.root, { recursive: true, properties })) {
    const { value, source } = read[recordNames.becomes] ?? {}
    const [dataset, kept] = source === 'local' ? String(value).split(' ') : []
    if (dataset !== undefined && kept !== undefined) found.push({ replacement: name, dataset, kept })
  }
  for (const { replacement, dataset, kept } of found) {
    await takeStep(host.logger, dataset, 'setAside', () => takePlace(replacement, dataset, kept))
  }
}

async function takePlace(replacement: string, dataset: string, kept: string): Promise<void> {
  if (replacement !== dataset) {
    const { origin } = await getProperties(replacement, ['origin'])
    // Only then do the two trade what they have in common.
    if (typeof origin?.value === 'string' && origin.value.startsWith(`${dataset}@`)) await promote(replacement)
    if (await exists(dataset)) await moveAway(dataset, kept)
    else await endRecord(kept, dataset)
    await rename(replacement, dataset)
  }
  await inheritProperty(dataset, recordNames.becomes)
}

async function moveAway(dataset: string, kept: string): Promise<void> {
  if (!isEmbedded()) await unmount(dataset)
  await rename(dataset, kept)
  await endRecord(kept, dataset)
}
