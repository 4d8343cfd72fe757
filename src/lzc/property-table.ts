/** How a native property is stored: as a number, a number with names (index), or a string. After zcommon/zfs_prop.c. */
export type PropertyKind = 'number' | 'string' | Readonly<Record<string, number>>

/**
 * Who sets it and whether children get it: ZFS's own PROP_READONLY, PROP_ONETIME (set when a dataset is created, inherited),
 * PROP_ONETIME_DEFAULT (the same, not inherited), PROP_INHERIT and PROP_DEFAULT (set at any time, not inherited).
 */
export type PropertyAttribute = 'readonly' | 'onetime' | 'onetimeDefault' | 'inherit' | 'default'

export interface NativeProperty {
  kind: PropertyKind
  attribute: PropertyAttribute
  /** What has it: `f`ilesystems, `v`olumes, `s`napshots (of those of the former that are named too), `b`ookmarks. */
  types: string
}

const onOff = { off: 0, on: 1 }
const cache = { none: 0, metadata: 1, all: 2 }

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

const encryption = {
  on: 1,
  off: 2,
  'aes-128-ccm': 3,
  'aes-192-ccm': 4,
  'aes-256-ccm': 5,
  'aes-128-gcm': 6,
  'aes-192-gcm': 7,
  'aes-256-gcm': 8,
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

function group(
  attribute: PropertyAttribute,
  types: string,
  kinds: Readonly<Record<string, PropertyKind>>,
): Record<string, NativeProperty> {
  return Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, { kind, attribute, types }]))
}

const all = (kind: PropertyKind, names: string): Record<string, PropertyKind> =>
  Object.fromEntries(names.split(' ').map((name) => [name, kind]))

const inherited = {
  ...group('inherit', 'fvs', { mlslabel: 'string', prefetch: cache, primarycache: cache, secondarycache: cache }),
  ...group('inherit', 'fs', {
    ...all(onOff, 'devices exec nbmand setuid'),
    acltype: { off: 0, disabled: 0, noacl: 0, posix: 1, posixacl: 1, nfsv4: 2 },
    // `on` means `dir` to 2.1 and `sa` since 2.2; to say which one you mean, say that.
    xattr: { off: 0, dir: 1, sa: 2, on: 2 },
  }),
  ...group('inherit', 'fv', {
    checksum,
    compression: compressionTable(),
    copies: 'number',
    dedup,
    logbias: { latency: 0, throughput: 1 },
    readonly: onOff,
    redundant_metadata: { all: 0, most: 1, some: 2, none: 3 },
    snapdev: { hidden: 0, visible: 1 },
    // Of filesystems alone before 2.4.
    special_small_blocks: 'number',
    sync: { standard: 0, always: 1, disabled: 2 },
    volmode: { default: 0, full: 1, geom: 1, dev: 2, none: 3 },
  }),
  ...group('inherit', 'f', {
    ...all(onOff, 'atime longname overlay relatime vscan zoned'),
    ...all('string', 'mountpoint sharenfs sharesmb'),
    aclinherit: { discard: 0, noallow: 1, restricted: 4, secure: 4, passthrough: 3, 'passthrough-x': 5 },
    aclmode: { discard: 0, groupmask: 2, passthrough: 3, restricted: 4 },
    direct: { disabled: 0, standard: 1, always: 2 },
    dnodesize: { legacy: 0, auto: 1, '1k': 1024, '2k': 2048, '4k': 4096, '8k': 8192, '16k': 16384 },
    recordsize: 'number',
    snapdir: { hidden: 0, visible: 1, disabled: 2 },
  }),
}

const notInherited = {
  ...group('default', 'fvs', all('string', 'context fscontext defcontext rootcontext')),
  ...group('default', 'fv', { ...all('number', 'reservation refreservation snapshot_limit'), keylocation: 'string' }),
  ...group('default', 'fs', {
    ...all('number', 'version defaultuserquota defaultgroupquota defaultprojectquota'),
    ...all('number', 'defaultuserobjquota defaultgroupobjquota defaultprojectobjquota'),
  }),
  ...group('default', 'f', {
    ...all('number', 'quota refquota filesystem_limit'),
    canmount: { off: 0, on: 1, noauto: 2 },
  }),
  ...group('default', 'vs', { volsize: 'number' }),
  ...group('default', 'v', { volthreading: onOff }),
}

const onetime = {
  ...group('onetime', 'fvs', { encryption }),
  ...group('onetime', 'fs', {
    casesensitivity: { sensitive: 0, insensitive: 1, mixed: 2 },
    normalization: { none: 0, formD: 0x10, formC: 0x50, formKD: 0x20, formKC: 0x60 },
    utf8only: onOff,
  }),
  ...group('onetime', 'v', { volblocksize: 'number' }),
  ...group('onetimeDefault', 'fv', {
    keyformat: { none: 0, raw: 1, hex: 2, passphrase: 3 },
    ...all('number', 'pbkdf2iters pbkdf2salt'),
  }),
}

const statistics = {
  ...group('readonly', 'fvsb', {
    ...all('number', 'compressratio createtxg creation guid ivsetguid logicalreferenced referenced'),
    ...all('string', 'name redact_snaps type'),
  }),
  ...group('readonly', 'fvs', {
    ...all(
      'number',
      'inconsistent keyguid objsetid redacted refcompressratio remaptxg unique used useraccounting written',
    ),
    encryptionroot: 'string',
    keystatus: { none: 0, unavailable: 1, available: 2 },
  }),
  ...group('readonly', 'fv', {
    ...all('number', 'available logicalused snapshot_count snapshots_changed'),
    ...all('number', 'usedbychildren usedbydataset usedbyrefreservation usedbysnapshots'),
    ...all('string', 'origin prevsnap receive_resume_token'),
  }),
  ...group('readonly', 'f', { filesystem_count: 'number', mounted: { no: 0, yes: 1 } }),
  ...group('readonly', 's', { ...all('number', 'numclones userrefs'), clones: 'string', defer_destroy: onOff }),
}

/** Every native property of OpenZFS 2.1 to 2.4 that a dataset, snapshot or bookmark can have. */
export const propertyTable: Readonly<Record<string, NativeProperty>> = {
  ...inherited,
  ...notInherited,
  ...onetime,
  ...statistics,
}

/** The native property of that name, where there is one. */
export function nativeProperty(name: string): NativeProperty | undefined {
  return Object.hasOwn(propertyTable, name) ? propertyTable[name] : undefined
}
