/** pipe(2), as a shell makes it between two programs; those of Node.js are sockets. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface PipeEnds {
  read: number
  write: number
}

/** The caller closes both. */
export function makePipe(): PipeEnds {
  const directory = mkdtempSync(join(tmpdir(), 'flocker-zfs-pipe-'))
  try {
    const fifo = makeFifo(directory)
    // Open for both, it doesn't wait for another end.
    const both = openSync(fifo, 'r+')
    const [read, write] = [openSync(fifo, 'r'), openSync(fifo, 'w')]
    closeSync(both)
    return { read, write }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Its path. */
export function makeFifo(directory: string): string {
  const fifo = join(directory, 'fifo')
  rmSync(fifo, { force: true })
  const made = spawnSync('mkfifo', [fifo], { stdio: 'inherit' })
  if (made.status !== 0) throw new Error('mkfifo failed')
  return fifo
}
