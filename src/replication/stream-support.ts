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

/** The pool's feature without which a stream's can't be received (dmu_recv.c, recv_begin_check_feature_flags_impl()). */
const poolFeatures: Readonly<Record<string, string>> = {
  lz4: 'lz4_compress',
  zstd: 'zstd_compress',
  embed_data: 'embedded_data',
  large_blocks: 'large_blocks',
  large_dnode: 'large_dnode',
  large_microzap: 'large_microzap',
  longname: 'longname',
  redacted: 'redacted_datasets',
  raw: 'encryption',
}

/** Where a stream is to be received. */
export interface Receiver {
  dataset: string
  /** The module's version, such as `2.1.11`. */
  version: string
  /** The pool's features that are not disabled. */
  features: Readonly<Record<string, unknown>>
}

/**
 * Refuses a stream that this host's OpenZFS would only reject after it has begun to flow.
 *
 * @param begin the stream's BEGIN record
 * @throws NotSupportedError `NOT_SUPPORTED`
 */
export function checkReceivable(begin: BeginRecord, { dataset, version, features }: Receiver): void {
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
    const needed = poolFeatures[feature]
    if (needed === undefined || needed in features) continue
    const pool = dataset.split('/', 1)[0]
    throw new NotSupportedError(
      `${dataset} can't be received: its stream uses the feature ${feature}, and ${needed} is disabled in the pool ${pool}. Nothing was sent.`,
      { dataset, next: `zpool set feature@${needed}=enabled ${pool}; older releases may not import the pool then.` },
    )
  }
}

function parseVersion(text: string): readonly [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text)
  return match === null ? [0, 0] : [Number(match[1]), Number(match[2])]
}

function isOlder(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
}
