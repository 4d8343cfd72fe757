/** Runs inside a lab host: writes files of random bytes, or some of them anew. */
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface WriteOrder {
  directories: string[]
  /** In each directory. */
  files: number
  /** Of each file. */
  bytes: number
  /** Every so manieth piece of 1 MiB of a file, or every so manieth file if that has less. 1: all. */
  every: number
}

const piece = 1024 ** 2
const filesInFolder = 500

function main({ directories, files, bytes, every }: WriteOrder): void {
  const content = randomBytes(Math.min(piece, bytes) + files)
  for (const directory of directories) {
    for (let i = 0; i < files; i += bytes < piece ? every : 1) {
      const folder = join(directory, String(Math.floor(i / filesInFolder)))
      if (i % filesInFolder === 0 || every > 1) mkdirSync(folder, { recursive: true })
      const file = openSync(join(folder, String(i)), every === 1 ? 'w' : 'r+')
      if (bytes < piece) writeSync(file, content, i, bytes, 0)
      else for (let at = 0; at < bytes; at += piece * every) writeSync(file, randomBytes(piece), 0, piece, at)
      closeSync(file)
    }
  }
}

if (require.main === module) main(JSON.parse(process.argv[2] as string))
