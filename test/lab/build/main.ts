/** `node build/test/lab/build/main.js newest oldest`: makes sure that the named profiles are built, showing progress. */
import { ArgumentError, FlockerError } from '../../../src/errors.js'
import { ensureProfile, type ProfileName } from './index.js'
import { reporter } from './report.js'

async function main(words: readonly string[]): Promise<void> {
  const names = words.map(parseName)
  if (names.length === 0) throw new ArgumentError('name at least one profile: newest, oldest')
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => abort.abort(new Error(signal)))
  }
  for (const name of names) {
    const report = reporter(name, process.stderr)
    try {
      await ensureProfile(name, { signal: abort.signal, onProgress: report.progress, onWait: report.wait })
    } finally {
      report.end()
    }
  }
}

function parseName(word: string): ProfileName {
  if (word === 'newest' || word === 'oldest') return word
  throw new ArgumentError(`there is no profile "${word}"; there are newest and oldest`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof FlockerError ? error.message : error)
  process.exitCode = 1
})
