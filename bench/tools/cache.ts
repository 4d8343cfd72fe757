/** Where the benchmarks keep what takes long to get: recorded streams, other people's tools, a small program of our own. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cacheDirectory } from '../../test/lab/paths.js'

export async function benchCache(): Promise<string> {
  const directory = join(dirname(cacheDirectory()), 'bench')
  await mkdir(directory, { recursive: true })
  return directory
}
