/** Runs one compiled test file inside a lab host with an empty pool: `node build/test/in-guest.js PROFILE test/zfs/NAME.test.js`. */
import { join } from 'node:path'
import { type Host, openLab } from './lab/index.js'

const deadlineMilliseconds = 10 * 60_000
const suppressions = join(__dirname, '../../scripts/sanitize-suppressions.txt')
const { FLOCKER_ZFS_SANITIZED, FLOCKER_ZFS_SANITIZER } = process.env

async function main(profile: string, entry: string): Promise<void> {
  // Address sanitizers take as much memory again, and more.
  const memory = FLOCKER_ZFS_SANITIZED === undefined ? '1 GiB' : '3 GiB'
  await using lab = await openLab({
    hosts: [{ name: 'zfshost', profile: profile as 'newest' | 'oldest', disks: ['2 GiB'], memory }],
  })
  const host = lab.host('zfshost')
  await host.run(['zpool', 'create', '-O', 'mountpoint=/tank', host.pool, host.disks[0] as string])
  const given = ['FLOCKER_ZFS_LISTING', 'FLOCKER_ZFS_OPERATIONS', 'FLOCKER_ZFS_OPERATIONS_SEED'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
  const env = {
    TEST_POOL: host.pool,
    TEST_PROFILE: profile,
    ...Object.fromEntries(given),
    ...(await sanitized(host)),
  }
  const done = await host.runEntry(entry, [], { env, check: false, timeoutMilliseconds: deadlineMilliseconds })
  process.stdout.write(done.stdout)
  process.stderr.write(done.stderr)
  process.exitCode = done.status ?? 1
}

/** Puts the addon that scripts/sanitize.mjs has built in the usual one's place, in the host alone; what its processes need. */
async function sanitized(host: Host): Promise<Record<string, string>> {
  if (FLOCKER_ZFS_SANITIZED === undefined || FLOCKER_ZFS_SANITIZER === undefined) return {}
  await host.run(['cp', FLOCKER_ZFS_SANITIZED, join(__dirname, '../Release/flocker_zfs.node')])
  return {
    FLOCKER_ZFS_SANITIZED,
    LD_PRELOAD: FLOCKER_ZFS_SANITIZER,
    // Node.js itself leaves much unfreed at its end.
    ASAN_OPTIONS: `detect_leaks=0:quarantine_size_mb=16:thread_local_quarantine_size_kb=64:suppressions=${suppressions}`,
    UBSAN_OPTIONS: 'print_stacktrace=1',
  }
}

const [profile, entry] = process.argv.slice(2)
if (profile === undefined || entry === undefined) throw new Error('usage: in-guest PROFILE ENTRY')
void main(profile, entry)
