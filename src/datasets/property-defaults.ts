/**
 * What a native property is where nobody has set it; the kernel tells only what somebody has. After zcommon/zfs_prop.c.
 */
const forFilesystems: Readonly<Record<string, string | bigint>> = {
  aclinherit: 'restricted',
  aclmode: 'discard',
  acltype: 'off',
  atime: 'on',
  canmount: 'on',
  devices: 'on',
  dnodesize: 'legacy',
  exec: 'on',
  nbmand: 'off',
  overlay: 'on',
  quota: 0n,
  recordsize: 131072n,
  refquota: 0n,
  setuid: 'on',
  sharenfs: 'off',
  sharesmb: 'off',
  snapdir: 'hidden',
  vscan: 'off',
  zoned: 'off',
}

const forBoth: Readonly<Record<string, string | bigint>> = {
  checksum: 'on',
  copies: 1n,
  dedup: 'off',
  encryption: 'off',
  keyformat: 'none',
  keylocation: 'none',
  logbias: 'latency',
  mlslabel: 'none',
  primarycache: 'all',
  readonly: 'off',
  redundant_metadata: 'all',
  refreservation: 0n,
  reservation: 0n,
  secondarycache: 'all',
  snapdev: 'hidden',
  special_small_blocks: 0n,
  sync: 'standard',
  volmode: 'default',
}

/** Those that OpenZFS 2.2 or 2.3 changed. */
function byVersion(module: string): { both: Record<string, string>; filesystems: Record<string, string> } {
  const [major = 0, minor = 0] = module.split('.').map(Number)
  const since = (release: number): boolean => major > 2 || (major === 2 && minor >= release)
  return {
    both: { compression: since(2) ? 'on' : 'off' },
    filesystems: { relatime: since(2) ? 'on' : 'off', xattr: since(3) ? 'sa' : 'dir' },
  }
}

/** The defaults for a type of dataset, with the loaded module's version. */
export function propertyDefaults(type: string, module: string): Record<string, string | bigint> {
  if (type !== 'filesystem' && type !== 'volume') return {}
  const { both, filesystems } = byVersion(module)
  return type === 'volume' ? { ...forBoth, ...both } : { ...forBoth, ...both, ...forFilesystems, ...filesystems }
}
