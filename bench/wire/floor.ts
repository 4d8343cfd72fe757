/** What AES-128-GCM alone costs on this machine: no transfer can encrypt and decrypt for less. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Contender } from '../frame/rounds.js'

const run = promisify(execFile)
/** Of a record of TLS, which is how much is encrypted at once. */
const recordBytes = 16_384

export const floor: Contender = {
  label: 'AES-128-GCM alone, openssl speed',
  async run() {
    const words = ['speed', '-mr', '-seconds', '2', '-bytes', `${recordBytes}`, '-evp', 'aes-128-gcm']
    const { stdout } = await run('openssl', words)
    // +F:NUMBER:NAME:BYTES A SECOND, of processor time
    const rate = Number(/^\+F:.*:([\d.]+)$/m.exec(stdout)?.[1])
    if (!(rate > 0)) throw new Error(`openssl speed said ${JSON.stringify(stdout)}`)
    const side = 1e9 / rate
    return { throughput: rate / 1e6, cpu: 2 * side, senderCpu: side, receiverCpu: side }
  },
}
