import { NotSupportedError } from '../errors.js'
import type { BeginRecord } from '../lzc/index.js'

/**
 * The first OpenZFS release that can receive a stream with this feature, for those that our oldest supported one (2.1) can't
 * (sys/zfs_ioctl.h, DMU_BACKUP_FEATURE_*; zpool-features(7)).
 */
const sinceVersion: Readonly<Record<string, readonly [number, number]>> = {
  longname: [2, 3],
  large_microzap: [2, 3],
}

const receivable = new Set([
  'sa_spill',
  'embed_data',
  'lz4',
  'large_blocks',
  'resuming',
  'redacted',
  'compressed',
  'large_dnode',
  'raw',
  'zstd',
  'holds',
  'switch_to_large_blocks',
  ...Object.keys(sinceVersion),
])

/**
 * Refuses a stream that this host's OpenZFS would only reject after it has begun to flow.
 *
 * @param begin the stream's BEGIN record
 * @param version the receiving module's version, such as `2.1.11`
 * @throws NotSupportedError `NOT_SUPPORTED`
 */
export function checkReceivable(begin: BeginRecord, version: string, dataset: string): void {
  const loaded = parseVersion(version)
  for (const feature of begin.features) {
    const since = sinceVersion[feature]
    if (!receivable.has(feature) || (since !== undefined && isOlder(loaded, since))) {
      const has = since === undefined ? '' : `, which OpenZFS has since ${since.join('.')}`
      throw new NotSupportedError(
        `${dataset} can't be received: its stream uses the feature ${feature}${has}; this host runs ${version}. Nothing was sent.`,
        { dataset, next: `Upgrade OpenZFS on the receiving host, or send a dataset that does not use ${feature}.` },
      )
    }
  }
}

function parseVersion(text: string): readonly [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text)
  return match === null ? [0, 0] : [Number(match[1]), Number(match[2])]
}

function isOlder(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
}
