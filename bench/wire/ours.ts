/** Ours, with either data plane. */
import { join } from 'node:path'
import type { Wire } from './contender.js'
import { type Order, outputDescriptor } from './end.js'
import { nativeProblem, type PlaneChoice } from './plane.js'

export const nativeLabel = 'flocker-zfs, native'
export const javascriptLabel = 'flocker-zfs, JavaScript'

const redirected = ['sh', '-c', `exec "$@" ${outputDescriptor}>&1 >&2`, 'sh']

function wire(label: string, plane: PlaneChoice, missing?: string): Wire {
  return {
    label,
    missing,
    async prepare({ credentials, port }) {
      const chosen = await port()
      const program = (role: Order['role'], peer: string): string[] => {
        const order: Order = {
          role,
          plane,
          port: chosen,
          peer,
          credentials: role === 'send' ? credentials.sender : credentials.receiver,
        }
        return [process.execPath, join(__dirname, 'end.js'), JSON.stringify(order)]
      }
      return {
        daemons: { sender: [], receiver: [] },
        receiver: { argv: [...redirected, ...program('receive', 'sender')], port: chosen },
        sender: { argv: program('send', 'receiver') },
      }
    },
  }
}

export const ours: readonly Wire[] = [wire(nativeLabel, 'auto', nativeProblem), wire(javascriptLabel, 'javascript')]
