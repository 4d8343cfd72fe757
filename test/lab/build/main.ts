/** `node build/test/lab/build/main.js newest oldest`: makes sure that the named profiles are built, side by side, showing progress. */
import { ArgumentError, FlockerError } from '../../../src/errors.js'
import { ensureProfile, type ProfileName } from './index.js'
import { reporters } from './report.js'

async function main(words: readonly string[]): Promise<void> {
  const names = words.map(parseName)
  if (names.length === 0) throw new ArgumentError('name at least one profile: newest, oldest')
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => abort.abort(new Error(signal)))
  }
  const reporter = reporters(process.stderr)
  const failures: unknown[] = []
  const ensure = async (name: ProfileName): Promise<void> => {
    const report = reporter(name)
    try {
      await ensureProfile(name, { signal: abort.signal, onProgress: report.progress, onWait: report.wait })
    } catch (error) {
      failures.push(error)
      abort.abort(error)
    } finally {
      report.end()
    }
  }
  // While one is configured, on one core, the other has both.
  await Promise.all(names.map(ensure))
  if (failures.length > 0) throw failures[0]
}

function parseName(word: string): ProfileName {
  if (word === 'newest' || word === 'oldest') return word
  throw new ArgumentError(`there is no profile "${word}"; there are newest and oldest`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof FlockerError ? error.message : error)
  process.exitCode = 1
})
