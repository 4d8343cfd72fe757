/**
 * A push with the power cut at every step of it, on either side in turn: the steps are counted, then the same push is made once for
 * each of them. After that a push must work, and leave nothing over.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties, listBookmarks, readResumeToken } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { digest, fill, mebibyte, openAlpha, openBeta, push, reopenAlpha, snapshotsOf, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'

const run = promisify(execFile)
const program = join(__dirname, '../../src/cli/main.js')
const injector = { NODE_OPTIONS: `--require ${join(__dirname, 'kill-at.js')}` }
const source = 'alpha/flocker/disk'
const replica = 'beta/flocker/disk'

interface Ended {
  signal: string | null
  output: string
}

/** Pushes as the command does, from a process of its own, to an agent on this machine. */
async function pushFrom(directory: string, port: number, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const host = ['--embedded', 'a', '--pool', 'alpha', '--credentials', 'alpha']
  const child = spawn(process.execPath, [program, 'push', 'disk', `127.0.0.1:${port}`, ...host, '--json'], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  const [, signal] = await once(child, 'close')
  return { signal, output: (await output).join('') }
}

/** A replica and an increment to be pushed, made once and copied for each push. */
async function prepare(directory: string): Promise<void> {
  await using alpha = await openAlpha(directory)
  const volume = await alpha.createVolume('disk', { size: 8 * mebibyte })
  await fill(volume, 0, 4)
  await using agent = await startBeta(directory)
  await push(alpha, volume, agent.port)
  await fill(volume, 2, 4)
  assert.is(await agent.end('SIGTERM'), 'status 0')
}

async function restore(directory: string): Promise<void> {
  for (const side of ['a', 'b']) {
    await rm(join(directory, side), { recursive: true, force: true })
    await run('cp', ['-r', '--sparse=always', join(directory, 'kept', side), join(directory, side)])
  }
}

/** Neither side has anything of a push that is not over, and both have the same. */
async function checkConverged(directory: string): Promise<void> {
  await using alpha = await reopenAlpha(directory)
  await using beta = await openBeta(directory)
  assert.is(
    await digest({ dataset: replica }),
    await digest({ dataset: source }),
    `${alpha.identity}, ${beta.identity}`,
  )
  const [ours, theirs] = [await snapshotsOf(source), await snapshotsOf(replica)]
  const newest = ours.at(-1) as string
  const guid = (await getProperties(newest)).guid?.value
  assert.is((await getProperties(theirs.at(-1) as string)).guid?.value, guid)
  for (const name of ours) {
    assert.equal(Object.keys(await lzc.getHolds(name)), [], name)
    assert.not('flocker-zfs:pending' in (await getProperties(name)), name)
  }
  const held: string[] = []
  for (const name of theirs) for (const tag of Object.keys(await lzc.getHolds(name))) held.push(`${name} ${tag}`)
  assert.equal(held, [`${theirs.at(-1)} flocker:from:alpha`])
  const cursors: unknown[] = []
  for await (const bookmark of listBookmarks(source)) cursors.push(bookmark.guid)
  assert.equal(cursors, [guid])
  assert.is(await readResumeToken(replica), undefined)
}

/** Cuts alpha's power at a step, or beta's; then alpha pushes again. */
async function sweep(directory: string, side: 'alpha' | 'beta', env: NodeJS.ProcessEnv): Promise<string | null> {
  await restore(directory)
  const injected = { ...injector, ...env }
  let cut: string | null
  {
    const wrapper = side === 'beta' ? ['env', ...Object.entries(injected).map((pair) => pair.join('='))] : []
    await using agent = await startBeta(directory, wrapper)
    const pushed = await pushFrom(directory, agent.port, side === 'alpha' ? injected : {})
    cut = side === 'alpha' ? pushed.signal : agent.child.signalCode
  }
  await using agent = await startBeta(directory)
  const { output, signal } = await pushFrom(directory, agent.port)
  assert.is(signal, null)
  assert.match(output, /"guid":"\d+"/)
  assert.is(await agent.end('SIGTERM'), 'status 0')
  await checkConverged(directory)
  return cut
}

for (const side of ['alpha', 'beta'] as const) {
  test(`power cut at every step of ${side}`, () =>
    withDirectory(async (directory) => {
      await prepare(directory)
      await mkdir(join(directory, 'kept'))
      for (const name of ['a', 'b']) await rename(join(directory, name), join(directory, 'kept', name))
      const list = join(directory, 'steps')
      assert.is(await sweep(directory, side, { KILL_LIST: list }), null)
      const steps = (await readFile(list, 'utf8')).trim().split('\n')
      for (const [at, step] of steps.entries()) {
        try {
          const cut = await sweep(directory, side, { KILL_AT: String(at) })
          // What beta does when the push is over already is not waited for.
          if (side === 'alpha') assert.is(cut, 'SIGKILL', 'there was a power cut')
        } catch (error) {
          throw new Error(`power cut at step ${at} of ${steps.length}, ${step}: ${(error as Error).message}`, {
            cause: error,
          })
        }
      }
      console.log(`\nmeasured: power cut at each of ${steps.length} steps of ${side}: ${steps.join(', ')}`)
    }))
}

test.before(useEngine)

test.run()
