/** Which process is at work, so that another one of this machine can tell whether it still is. */
import { readFile } from 'node:fs/promises'
import { bootId } from './service.js'

let mark: Promise<string> | undefined

/** Names this process: the boot, its number, and when it was started. */
export function thisProcess(): Promise<string> {
  mark ??= Promise.all([bootId(), startOf(process.pid)]).then((parts) => [...parts, process.pid].join(' '))
  return mark
}

/** Whether the process that {@link thisProcess} has named lives, on this machine. */
export async function isAlive(named: string | undefined): Promise<boolean> {
  const [boot, start, pid] = named?.split(' ') ?? []
  if (boot !== (await bootId()) || !/^\d+$/.test(pid ?? '')) return false
  return start !== undefined && start !== '' && start === (await startOf(Number(pid)))
}

/** In clock ticks since the boot: the 22nd field of /proc/PID/stat (proc(5)); the second may hold spaces and parentheses. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return ''
    throw error
  }
}
