/** SIGKILL in the middle of a receive, again and again: the pool opens, what was there is intact, and the receive goes on. */

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Built, build, Engine, releases, withDirectory } from './engine.js'
import { ResumeToken } from './resume-token.js'

const MIB = 1024 * 1024
const rounds = Number(process.env.FLOCKER_ZFS_CRASHES ?? 6)
/** Between two blocks of 64 KiB, so that a stream of 48 MiB takes about a second. */
const pauseMicroseconds = 1000

/** Streams of a volume: @a, and @b that changes most of it. Returns the hashes. */
async function streams(built: Built, directory: string): Promise<[string, string]> {
  await using engine = new Engine(built)
  await engine.do('open', directory, 'from')
  await engine.do('create', 'from/vol', 'volume', '-', `volsize:=${64 * MIB}`, 'volblocksize:=16384')
  await engine.do('write', 'from/vol', 0, 32 * MIB, 1)
  await engine.do('snapshot', 'from/vol@a')
  await engine.do('write', 'from/vol', 8 * MIB, 48 * MIB, 2)
  await engine.do('snapshot', 'from/vol@b')
  await engine.do('send', 'from/vol@a', '-', 0, join(directory, 'a'))
  await engine.do('send', 'from/vol@b', 'from/vol@a', 0, join(directory, 'b'))
  const hashes: [string, string] = [await engine.hash('from/vol@a'), await engine.hash('from/vol@b')]
  await engine.do('close', 'from')
  return hashes
}

/** The stream to go on with, and whether there is one: what a sender makes of the token. */
async function rest(built: Built, directory: string, token: string | undefined): Promise<string> {
  if (token === undefined) return join(directory, 'b')
  const { toname, object, offset } = new ResumeToken(token)
  await using engine = new Engine(built)
  await engine.do('open', directory, 'from')
  await engine.do('send', toname, 'from/vol@a', 0, join(directory, 'rest'), object, offset)
  await engine.do('close', 'from')
  return join(directory, 'rest')
}

async function receiveAndDie(built: Built, directory: string, file: string): Promise<void> {
  const engine = new Engine(built)
  await engine.do('open', directory, 'to')
  const receiving = engine.ask('receive', 'to/vol@b', file, '-', 'resumable', '-', pauseMicroseconds)
  const ended = receiving.then(
    () => 'received',
    () => 'killed',
  )
  await wait(Math.random() * 900)
  await engine.kill()
  await ended
}

for (const zfs of releases) {
  test(`${zfs}: killed ${rounds} times in a receive`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      const [before, after] = await streams(built, directory)
      {
        await using engine = new Engine(built)
        await engine.do('open', directory, 'to')
        await engine.do('receive', 'to/vol@a', join(directory, 'a'))
        await engine.do('close', 'to')
      }
      let token: string | undefined
      let resumed = 0
      for (let round = 0; round < rounds; round++) {
        await receiveAndDie(built, directory, await rest(built, directory, token))
        await using engine = new Engine(built)
        await engine.do('open', directory, 'to')
        assert.is(await engine.hash('to/vol@a'), before)
        token = JSON.parse(await engine.do('stats', 'to/vol')).receive_resume_token?.value
        if (token !== undefined) resumed++
        const snapshots = (await engine.do('snapshots', 'to/vol')).split(' ')
        if (snapshots.includes('to/vol@b')) {
          assert.is(await engine.hash('to/vol@b'), after)
          await engine.do('rollback', 'to/vol', 'to/vol@b')
          await engine.do('destroy', 'to/vol@b')
          await engine.do('rollback', 'to/vol', 'to/vol@a')
        }
        await engine.do('close', 'to')
      }
      await using engine = new Engine(built)
      await engine.do('open', directory, 'to')
      await engine.do('receive', 'to/vol@b', await rest(built, directory, token), '-', 'resumable')
      assert.is(await engine.hash('to/vol'), after)
      assert.ok(resumed > 0, 'no receive left anything to resume')
      await engine.do('close', 'to')
    }))
}

test.run()
