/** Others, each set up as well as it can be: AES-128-GCM where it encrypts, TLS 1.3 with certificates on both ends, large reads. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tools } from '../tools/packages.js'
import type { Daemon, Place, Setup, Wire } from './contender.js'
import { sshLabel, sshWire } from './ssh.js'

const cipher = 'TLS_AES_128_GCM_SHA256'
const block = 128 * 1024
const host = '127.0.0.1'

export const plainLabels = { mbuffer: 'mbuffer, plain TCP', socat: 'socat, plain TCP' }

const encryptingLabels = { socat: 'socat, TLS', stunnel: 'stunnel + mbuffer' }
export const encrypting: readonly string[] = [...Object.values(encryptingLabels), sshLabel]

/** With no tools: why there are none. */
export function others(tools: Tools | { missing: string }): Wire[] {
  const all = (known: Tools | undefined): Wire[] => [
    { label: encryptingLabels.socat, prepare: (place) => socatTls(known as Tools, place) },
    { label: encryptingLabels.stunnel, prepare: (place) => stunnel(known as Tools, place) },
    sshWire(known as Tools),
    { label: plainLabels.mbuffer, prepare: (place) => mbuffer(known as Tools, place) },
    { label: plainLabels.socat, prepare: (place) => socat(known as Tools, place) },
  ]
  if ('missing' in tools) return all(undefined).map((wire) => ({ ...wire, missing: tools.missing }))
  return all(tools)
}

const nobody = () => ({ sender: [] as Daemon[], receiver: [] as Daemon[] })

async function socat({ program, environment }: Tools, place: Place): Promise<Setup> {
  const port = await place.port()
  const words = [program('socat'), '-u', '-b', `${block}`]
  return {
    daemons: nobody(),
    receiver: { argv: [...words, `TCP-LISTEN:${port},bind=${host},reuseaddr`, 'STDOUT'], environment, port },
    sender: { argv: [...words, 'STDIN', `TCP:${host}:${port}`], environment },
  }
}

async function socatTls({ program, environment }: Tools, place: Place): Promise<Setup> {
  const port = await place.port()
  const { sender, receiver } = place.credentials
  // socat has no option for the ciphers of TLS 1.3; OpenSSL's own configuration has.
  const configuration = join(place.directory, 'openssl.cnf')
  await writeFile(configuration, opensslConfiguration)
  const env = { ...environment, OPENSSL_CONF: configuration }
  const words = [program('socat'), '-u', '-b', `${block}`]
  const files = (directory: string) =>
    [
      ...[`cert=${join(directory, 'host.pem')}`, `key=${join(directory, 'host.key')}`],
      ...[`cafile=${join(directory, 'ca.pem')}`, 'verify=1', 'openssl-min-proto-version=TLS1.3'],
    ].join()
  const listening = `OPENSSL-LISTEN:${port},bind=${host},reuseaddr,commonname=sender,${files(receiver)}`
  const dialling = `OPENSSL:${host}:${port},commonname=receiver,${files(sender)}`
  return {
    daemons: nobody(),
    receiver: { argv: [...words, listening, 'STDOUT'], environment: env, port },
    sender: { argv: [...words, 'STDIN', dialling], environment: env },
  }
}

const opensslConfiguration = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = tls
[tls]
Ciphersuites = ${cipher}
`

async function mbuffer({ program, environment }: Tools, place: Place): Promise<Setup> {
  const port = await place.port()
  return {
    daemons: nobody(),
    receiver: { argv: [...mbufferWords(program), '-I', `${host}:${port}`], environment, port },
    sender: { argv: [...mbufferWords(program), '-O', `${host}:${port}`], environment },
  }
}

/** As syncoid starts it. */
function mbufferWords(program: Tools['program']): string[] {
  return [program('mbuffer'), '-q', '-s', `${block}`, '-m', '16M']
}

async function stunnel({ program, environment }: Tools, place: Place): Promise<Setup> {
  const [near, between, far] = [await place.port(), await place.port(), await place.port()]
  const daemon = async (role: 'sender' | 'receiver', accept: number, connect: number): Promise<Daemon> => {
    const file = join(place.directory, `stunnel-${role}.conf`)
    const peer = role === 'sender' ? 'receiver' : 'sender'
    await writeFile(file, stunnelConfiguration(role, peer, place.credentials[role], accept, connect))
    return { argv: [program('stunnel4'), file], environment, port: accept }
  }
  return {
    daemons: { sender: [await daemon('sender', near, between)], receiver: [await daemon('receiver', between, far)] },
    receiver: { argv: [...mbufferWords(program), '-I', `${host}:${far}`], environment, port: far },
    sender: { argv: [...mbufferWords(program), '-O', `${host}:${near}`], environment },
  }
}

function stunnelConfiguration(
  role: string,
  peer: string,
  credentials: string,
  accept: number,
  connect: number,
): string {
  return `foreground = yes
pid =
syslog = no
debug = err
sslVersionMin = TLSv1.3
ciphersuites = ${cipher}
[bench]
client = ${role === 'sender' ? 'yes' : 'no'}
accept = ${host}:${accept}
connect = ${host}:${connect}
cert = ${join(credentials, 'host.pem')}
key = ${join(credentials, 'host.key')}
CAfile = ${join(credentials, 'ca.pem')}
verifyChain = yes
${role === 'sender' ? `checkHost = ${peer}` : ''}
`
}
