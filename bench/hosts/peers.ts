/** Makes the lab's hosts ready for those that we are compared with: their tools, and an sshd on beta that lets alpha in. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Cluster } from '../../test/hosts/cluster.js'
import type { Host } from '../../test/lab/index.js'
import { benchCache } from '../tools/cache.js'

export const cipher = 'aes128-gcm@openssh.com'
export const keyFile = '/etc/ssh/bench_key'

/** The root of a guest is an overlay in memory: it takes what it has not. */
async function unpack(host: Host): Promise<void> {
  const packed = await promisify(execFile)('tar', ['-C', join(await benchCache(), 'tools'), '-cf', '-', 'usr'], {
    encoding: 'buffer',
    maxBuffer: 256 * 1024 ** 2,
  })
  await host.run(['tar', '-x', '-C', '/', '--skip-old-files', '--no-same-owner'], { input: packed.stdout })
}

const serverScript = `set -e
mkdir -p /run/sshd /etc/ssh
grep -q '^sshd:' /etc/passwd || echo 'sshd:x:65533:65534::/run/sshd:/bin/false' >> /etc/passwd
echo 'root:*:19000::::::' > /etc/shadow
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/bench_host
cat > /etc/ssh/bench_config <<'END'
HostKey /etc/ssh/bench_host
AuthorizedKeysFile /etc/ssh/bench_authorized
Ciphers ${cipher}
PermitRootLogin yes
UsePAM no
StrictModes no
MaxStartups 64
END
/usr/sbin/sshd -f /etc/ssh/bench_config`

const clientConfiguration = `Host beta
  IdentityFile ${keyFile}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
`

/** Tools must be in the cache. */
export async function equip({ alpha, beta }: Cluster): Promise<void> {
  await Promise.all([unpack(alpha), unpack(beta)])
  await alpha.run(['mkdir', '-p', '/etc/ssh'])
  await alpha.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', keyFile])
  await alpha.writeFile('/etc/ssh/ssh_config', clientConfiguration)
  await beta.run(['mkdir', '-p', '/etc/ssh'])
  await beta.writeFile('/etc/ssh/bench_authorized', await alpha.readFile(`${keyFile}.pub`))
  await beta.run(['sh', '-c', serverScript])
  // It is in the background before it listens.
  await alpha.run(['ssh', '-o', 'ConnectionAttempts=30', 'root@beta', 'true'])
}
