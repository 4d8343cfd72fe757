/**
 * What a native property is where nobody has set it; the kernel tells only what somebody has. After zcommon/zfs_prop.c.
 */
const defaults: Readonly<Record<string, string | bigint>> = {
  aclinherit: 'restricted',
  aclmode: 'discard',
  acltype: 'off',
  atime: 'on',
  canmount: 'on',
  checksum: 'on',
  context: 'none',
  copies: 1n,
  dedup: 'off',
  defcontext: 'none',
  devices: 'on',
  dnodesize: 'legacy',
  encryption: 'off',
  exec: 'on',
  filesystem_count: 2n ** 64n - 1n,
  filesystem_limit: 2n ** 64n - 1n,
  fscontext: 'none',
  keyformat: 'none',
  keylocation: 'none',
  logbias: 'latency',
  mlslabel: 'none',
  nbmand: 'off',
  overlay: 'on',
  pbkdf2iters: 0n,
  primarycache: 'all',
  quota: 0n,
  readonly: 'off',
  recordsize: 131072n,
  redundant_metadata: 'all',
  refquota: 0n,
  refreservation: 0n,
  reservation: 0n,
  rootcontext: 'none',
  secondarycache: 'all',
  setuid: 'on',
  sharenfs: 'off',
  sharesmb: 'off',
  snapdev: 'hidden',
  snapdir: 'hidden',
  snapshot_count: 2n ** 64n - 1n,
  snapshot_limit: 2n ** 64n - 1n,
  special_small_blocks: 0n,
  sync: 'standard',
  volmode: 'default',
  vscan: 'off',
  zoned: 'off',
}

/** Those that came, or changed, after OpenZFS 2.1. */
function byRelease(minor: number): Record<string, string> {
  return {
    compression: minor >= 2 ? 'on' : 'off',
    relatime: minor >= 2 ? 'on' : 'off',
    xattr: minor >= 3 ? 'sa' : 'dir',
    ...(minor >= 2 ? { prefetch: 'all' } : {}),
    ...(minor >= 3 ? { direct: 'standard', longname: 'off', volthreading: 'on' } : {}),
  }
}

/** The defaults of all properties, with the loaded module's version. */
export function propertyDefaults(module: string): Readonly<Record<string, string | bigint>> {
  const [major = 0, minor = 0] = module.split('.').map(Number)
  return { ...defaults, ...byRelease(major > 2 ? Number.POSITIVE_INFINITY : minor) }
}
