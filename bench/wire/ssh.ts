/** OpenSSH, client and server, with keys that are thrown away. */
import { execFile } from 'node:child_process'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Tools } from '../tools/packages.js'
import type { Place, Setup, Wire } from './contender.js'

const run = promisify(execFile)
const host = '127.0.0.1'
const cipher = 'aes128-gcm@openssh.com'

export const sshLabel = 'ssh, aes128-gcm'

export function sshWire(tools: Tools): Wire {
  return { label: sshLabel, prepare: (place) => prepare(tools, place) }
}

async function prepare({ program, environment }: Tools, place: Place): Promise<Setup> {
  const { directory, measure } = place
  const port = await place.port()
  const [hostKey, userKey] = [join(directory, 'ssh_host'), join(directory, 'ssh_user')]
  for (const key of [hostKey, userKey]) {
    await rm(key, { force: true })
    await run(program('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key], { env: environment })
    await chmod(key, 0o600)
  }
  const configuration = join(directory, 'sshd_config')
  await writeFile(configuration, serverConfiguration(port, hostKey, `${userKey}.pub`))
  const discount = join(directory, 'ssh-cat.json')
  const options = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${join(directory, 'known')}`, 'IdentitiesOnly=yes']
  return {
    daemons: {
      sender: [],
      receiver: [{ argv: await server(program('sshd'), configuration, directory), environment, port }],
    },
    sender: {
      argv: [
        ...[program('ssh'), '-F', 'none', '-q', '-T', '-p', `${port}`, '-i', userKey, '-c', cipher],
        ...options.flatMap((option) => ['-o', option]),
        ...[`${userInfo().username}@${host}`, `exec ${measure} ${discount} cat > /dev/null`],
      ],
      environment,
    },
    discount,
  }
}

function serverConfiguration(port: number, hostKey: string, authorized: string): string {
  return `Port ${port}
ListenAddress ${host}
HostKey ${hostKey}
AuthorizedKeysFile ${authorized}
Ciphers ${cipher}
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
`
}

/**
 * Root's sshd wants a user and a directory that only an installed one has: it gets them in a mount namespace of its own.
 */
async function server(sshd: string, configuration: string, directory: string): Promise<string[]> {
  const words = [sshd, '-D', '-e', '-f', configuration]
  if (process.getuid?.() !== 0) return words
  const [passwd, shadow] = [join(directory, 'passwd'), join(directory, 'shadow')]
  await writeFile(passwd, 'root:x:0:0::/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/bin/false\n')
  await writeFile(shadow, 'root:*:19000::::::\nsshd:*:19000::::::\n')
  const script = `mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd &&
mount --bind ${passwd} /etc/passwd && mount --bind ${shadow} /etc/shadow && exec "$@"`
  return ['unshare', '-m', 'sh', '-c', script, 'sshd', ...words]
}
