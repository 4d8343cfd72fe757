/** Runs one compiled test file inside a lab host with an empty pool: `node build/test/in-guest.js PROFILE test/zfs/NAME.test.js`. */
import { openLab } from './lab/index.js'

const deadlineMilliseconds = 6 * 60_000

async function main(profile: string, entry: string): Promise<void> {
  await using lab = await openLab({
    hosts: [{ name: 'zfshost', profile: profile as 'newest' | 'oldest', disks: ['2 GiB'], memory: '1 GiB' }],
  })
  const host = lab.host('zfshost')
  await host.run(['zpool', 'create', '-O', 'mountpoint=/tank', host.pool, host.disks[0] as string])
  const { FLOCKER_ZFS_LISTING } = process.env
  const env = {
    TEST_POOL: host.pool,
    TEST_PROFILE: profile,
    ...(FLOCKER_ZFS_LISTING === undefined ? {} : { FLOCKER_ZFS_LISTING }),
  }
  const done = await host.runEntry(entry, [], { env, check: false, timeoutMilliseconds: deadlineMilliseconds })
  process.stdout.write(done.stdout)
  process.stderr.write(done.stderr)
  process.exitCode = done.status ?? 1
}

const [profile, entry] = process.argv.slice(2)
if (profile === undefined || entry === undefined) throw new Error('usage: in-guest PROFILE ENTRY')
void main(profile, entry)
