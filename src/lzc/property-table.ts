/** How a native property is stored: as a number, a number with names (index), or a string. After zcommon/zfs_prop.c. */
export type PropertyKind = 'number' | 'string' | Readonly<Record<string, number>>

const onOff = { off: 0, on: 1 }
const noYes = { no: 0, yes: 1 }
const cache = { none: 0, metadata: 1, all: 2 }
const visibility = { hidden: 0, visible: 1 }

const checksum = {
  on: 1,
  off: 2,
  fletcher2: 6,
  fletcher4: 7,
  sha256: 8,
  noparity: 10,
  sha512: 11,
  skein: 12,
  edonr: 13,
  blake3: 14,
}

const verify = 256
const dedup = {
  on: 1,
  off: 2,
  verify: 1 | verify,
  sha256: 8,
  'sha256,verify': 8 | verify,
  sha512: 11,
  'sha512,verify': 11 | verify,
  skein: 12,
  'skein,verify': 12 | verify,
  'edonr,verify': 13 | verify,
  blake3: 14,
  'blake3,verify': 14 | verify,
}

function compressionTable(): Record<string, number> {
  const table: Record<string, number> = { on: 1, off: 2, lzjb: 3, zle: 14, lz4: 15, gzip: 10, zstd: 16 }
  for (let level = 1; level <= 9; level++) table[`gzip-${level}`] = 4 + level
  // A zstd level goes into the bits above the algorithm (ZIO_COMPLEVEL_ZSTD).
  const zstd = (level: number): number => 16 | (level << 7)
  for (let level = 1; level <= 19; level++) table[`zstd-${level}`] = zstd(level)
  const fast = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 500, 1000]
  table['zstd-fast'] = zstd(103)
  for (const [index, level] of fast.entries()) table[`zstd-fast-${level}`] = zstd(103 + index)
  return table
}

const names = (kind: PropertyKind, list: string): Record<string, PropertyKind> =>
  Object.fromEntries(list.split(' ').map((name) => [name, kind]))

/**
 * What ZFS alone says of a dataset (PROP_READONLY in zcommon/zfs_prop.c). The kernel does not refuse to have these set: it keeps
 * a value that nothing reads.
 */
export const readonlyProperties: ReadonlySet<string> = new Set(
  (
    'used available referenced compressratio refcompressratio usedbysnapshots usedbydataset usedbychildren ' +
    'usedbyrefreservation userrefs written logicalused logicalreferenced filesystem_count snapshot_count guid createtxg ' +
    'objsetid numclones useraccounting unique inconsistent ivsetguid keyguid redacted creation snapshots_changed remaptxg ' +
    'mounted origin type name prevsnap receive_resume_token encryptionroot keystatus defer_destroy'
  ).split(' '),
)

/** Every native property of OpenZFS 2.1 to 2.4 that a dataset, snapshot or bookmark can have. */
export const propertyTable: Readonly<Record<string, PropertyKind>> = {
  ...names(
    onOff,
    'atime devices exec setuid readonly zoned vscan nbmand overlay relatime utf8only volthreading longname defer_destroy',
  ),
  ...names(noYes, 'mounted'),
  ...names(
    'number',
    'used available referenced compressratio refcompressratio volblocksize usedbysnapshots usedbydataset usedbychildren ' +
      'usedbyrefreservation userrefs written logicalused logicalreferenced filesystem_count snapshot_count guid createtxg ' +
      'pbkdf2iters objsetid quota reservation volsize refquota refreservation filesystem_limit snapshot_limit recordsize ' +
      'special_small_blocks numclones useraccounting unique inconsistent ivsetguid pbkdf2salt keyguid redacted creation ' +
      'snapshots_changed defaultuserquota defaultgroupquota defaultprojectquota defaultuserobjquota defaultgroupobjquota ' +
      'defaultprojectobjquota copies version remaptxg',
  ),
  ...names(
    'string',
    'origin mountpoint sharenfs sharesmb type mlslabel context fscontext defcontext rootcontext receive_resume_token ' +
      'encryptionroot keylocation name prevsnap',
  ),
  aclinherit: { discard: 0, noallow: 1, restricted: 4, secure: 4, passthrough: 3, 'passthrough-x': 5 },
  aclmode: { discard: 0, groupmask: 2, passthrough: 3, restricted: 4 },
  acltype: { off: 0, disabled: 0, noacl: 0, posix: 1, posixacl: 1, nfsv4: 2 },
  canmount: { off: 0, on: 1, noauto: 2 },
  casesensitivity: { sensitive: 0, insensitive: 1, mixed: 2 },
  checksum,
  compression: compressionTable(),
  dedup,
  direct: { disabled: 0, standard: 1, always: 2 },
  dnodesize: { legacy: 0, auto: 1, '1k': 1024, '2k': 2048, '4k': 4096, '8k': 8192, '16k': 16384 },
  encryption: {
    on: 1,
    off: 2,
    'aes-128-ccm': 3,
    'aes-192-ccm': 4,
    'aes-256-ccm': 5,
    'aes-128-gcm': 6,
    'aes-192-gcm': 7,
    'aes-256-gcm': 8,
  },
  keyformat: { none: 0, raw: 1, hex: 2, passphrase: 3 },
  keystatus: { none: 0, unavailable: 1, available: 2 },
  logbias: { latency: 0, throughput: 1 },
  normalization: { none: 0, formD: 0x10, formC: 0x50, formKD: 0x20, formKC: 0x60 },
  prefetch: cache,
  primarycache: cache,
  secondarycache: cache,
  redundant_metadata: { all: 0, most: 1, some: 2, none: 3 },
  snapdev: visibility,
  snapdir: { ...visibility, disabled: 2 },
  sync: { standard: 0, always: 1, disabled: 2 },
  volmode: { default: 0, full: 1, geom: 1, dev: 2, none: 3 },
  // `on` means `dir` to 2.1 and `sa` since 2.2; to say which one you mean, say that.
  xattr: { off: 0, dir: 1, sa: 2, on: 2 },
}
