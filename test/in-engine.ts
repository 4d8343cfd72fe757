/**
 * Runs one compiled test file on the embedded engine built for a release, with an empty directory for its pool, as an ordinary
 * user where this one is root: `node build/test/in-engine.js RELEASE test/conformance/NAME.test.js`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { build, nobody, type Release, withDirectory } from './embedded/engine.js'

async function main(release: Release, entry: string): Promise<void> {
  const { library, driver } = await build(release)
  await withDirectory(async (directory) => {
    const env = {
      ...process.env,
      FLOCKER_ZFS_ENGINE: 'embedded',
      FLOCKER_ZFS_EMBEDDED_LIBRARY: library,
      TEST_DIRECTORY: directory,
      TEST_DRIVER: driver,
    }
    const argv = ['--enable-source-maps', join(__dirname, '..', entry)]
    const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'inherit', 'inherit'], ...nobody() })
    const [status, signal] = await once(child, 'exit')
    if (signal !== null) console.error(`${entry} ended with ${signal}`)
    process.exitCode = status ?? 1
  })
}

const [release, entry] = process.argv.slice(2)
if (release === undefined || entry === undefined) throw new Error('usage: in-engine RELEASE ENTRY')
void main(release as Release, entry)
