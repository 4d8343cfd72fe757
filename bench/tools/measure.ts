/** What whole processes use, theirs and their descendants': see measure.c. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { checkout } from '../../test/lab/paths.js'
import { benchCache } from './cache.js'

const run = promisify(execFile)
const reportSchema = z.object({ user: z.number(), system: z.number(), maxRssKiB: z.number() })

/** Compiles the program where it is not there yet, and returns its path. */
export async function ensureMeasure(): Promise<string> {
  const source = join(checkout, 'bench/tools/measure.c')
  const digest = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
  const program = join(await benchCache(), `measure-${digest.slice(0, 16)}`)
  if (existsSync(program)) return program
  const unfinished = `${program}.${process.pid}`
  await run('cc', ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-o', unfinished, source])
  await rename(unfinished, program)
  return program
}

/** In seconds of processor time. */
export async function readReport(path: string): Promise<number> {
  const { user, system } = reportSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  return user + system
}
