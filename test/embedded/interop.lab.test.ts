/** Streams and resume tokens between the embedded engine and real kernels, of each release, verified by content. */
import { createHash } from 'node:crypto'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, openLab } from '../lab/index.js'
import { build, Engine, type Release, releases, withDirectory } from './engine.js'
import { ResumeToken } from './resume-token.js'

const MIB = 1024 * 1024
const STREAM_TRUNCATED = 1040
const key = '0123456789abcdef0123456789abcdef'
const encryption = ['encryption:=8', 'keyformat:=1', 'keylocation=prompt']
const profiles = ['newest', 'oldest'] as const

/** A host with a pool, an engine with one, and ways between them. */
class Bench {
  constructor(
    readonly host: Host,
    readonly engine: Engine,
    readonly directory: string,
  ) {}

  file(name: string): string {
    return join(this.directory, name)
  }

  async shell(command: string, input?: Uint8Array): Promise<Buffer> {
    return (await this.host.run(['sh', '-c', command], input === undefined ? {} : { input })).stdoutBytes
  }

  async text(command: string): Promise<string> {
    return (await this.shell(command)).toString().trim()
  }

  /** Sends from the engine, and has the host receive it. */
  async toHost(target: string, send: (string | number)[], options = ''): Promise<void> {
    await this.engine.do('send', ...send)
    await this.shell(`zfs receive ${options} ${target}`, await readFile(String(send[3])))
  }

  /** Sends from the host, and has the engine receive it. */
  async toEngine(send: string, receive: (string | number)[]): Promise<void> {
    await writeFile(String(receive[1]), await this.shell(send))
    await this.engine.do('receive', ...receive)
  }

  /** SHA-256 of an engine's volume. */
  async engineSum(volume: string): Promise<string> {
    await this.engine.do('dump', volume, this.file('dump'))
    return createHash('sha256')
      .update(await readFile(this.file('dump')))
      .digest('hex')
  }

  /** SHA-256 of the host's volume, which must be its only one with a device. */
  async hostSum(volume: string): Promise<string> {
    await this.shell(`zfs set volmode=dev ${volume}`)
    const sum = await this.text(
      'for i in $(seq 100); do [ -b /dev/zd0 ] && break; sleep .1; done; sha256sum < /dev/zd0',
    )
    await this.shell(`zfs set volmode=none ${volume}; for i in $(seq 100); do [ -b /dev/zd0 ] || break; sleep .1; done`)
    return sum.split(' ')[0] ?? ''
  }
}

async function volumes(bench: Bench): Promise<void> {
  const { engine } = bench
  await engine.do('create', 'emb/vol', 'volume', '-', `volsize:=${8 * MIB}`, 'volblocksize:=16384')
  await engine.do('write', 'emb/vol', 0, 3 * MIB, 1)
  await engine.do('snapshot', 'emb/vol@a')
  await engine.do('bookmark', 'emb/vol#a', 'emb/vol@a')
  await engine.do('write', 'emb/vol', MIB, MIB, 2)
  await engine.do('snapshot', 'emb/vol@b')
  await bench.toHost('tank/vol', ['emb/vol@a', '-', 0, bench.file('a')])
  await bench.toHost('tank/vol', ['emb/vol@b', 'emb/vol#a', 0, bench.file('b')])
  assert.is(await bench.hostSum('tank/vol'), await bench.engineSum('emb/vol@b'))
  // And what the kernel makes of it comes back.
  await bench.shell('zfs snapshot tank/vol@c')
  await bench.toEngine('zfs send -i @b tank/vol@c', ['emb/vol@c', bench.file('c'), 'force'])
  assert.is(await bench.engineSum('emb/vol@c'), await bench.hostSum('tank/vol'))
}

async function resumed(bench: Bench): Promise<void> {
  const { engine } = bench
  await engine.do('send', 'emb/vol@a', '-', 0, bench.file('cut'))
  await truncate(bench.file('cut'), 2 * MIB)
  await bench.shell('zfs receive -s tank/resumed || true', await readFile(bench.file('cut')))
  const theirs = new ResumeToken(await bench.text('zfs get -Hpo value receive_resume_token tank/resumed'))
  assert.ok(theirs.bytes > MIB)
  await bench.toHost('tank/resumed', [theirs.toname, '-', 0, bench.file('rest'), theirs.object, theirs.offset])
  assert.is(await bench.hostSum('tank/resumed'), await bench.engineSum('emb/vol@a'))

  await writeFile(bench.file('kernel'), await bench.shell('zfs send tank/resumed@a'))
  const cut = await engine.ask('receive', 'emb/resumed@a', bench.file('kernel'), '-', 'resumable', 2 * MIB)
  assert.is(cut.errno, STREAM_TRUNCATED)
  const ours = JSON.parse(await engine.do('stats', 'emb/resumed')).receive_resume_token.value
  await bench.toEngine(`zfs send -t ${ours}`, ['emb/resumed@a', bench.file('rest'), '-', 'resumable'])
  assert.is(await bench.engineSum('emb/resumed'), await bench.engineSum('emb/vol@a'))
}

async function filesystems(bench: Bench): Promise<void> {
  const { engine } = bench
  // The kernel's, with files, by way of the engine, and back.
  await bench.shell(
    'zfs create tank/fs && seq 100000 > /tank/fs/numbers && ln -s numbers /tank/fs/link && zfs snapshot tank/fs@a',
  )
  await bench.shell('seq 5 > /tank/fs/more && zfs snapshot tank/fs@b')
  await bench.toEngine('zfs send tank/fs@a', ['emb/fs@a', bench.file('theirs')])
  await bench.toEngine('zfs send -i @a tank/fs@b', ['emb/fs@b', bench.file('theirs')])
  await bench.toHost('tank/back', ['emb/fs@a', '-', 0, bench.file('fs')])
  await bench.toHost('tank/back', ['emb/fs@b', 'emb/fs@a', 0, bench.file('fs')])
  await bench.shell('diff -r /tank/fs /tank/back && cmp /tank/fs/numbers /tank/back/link')
  // The engine's, empty, can be mounted and written to by a kernel.
  await engine.do('create', 'emb/new', 'filesystem', '-')
  await engine.do('snapshot', 'emb/new@a')
  await bench.toHost('tank/new', ['emb/new@a', '-', 0, bench.file('fs')])
  assert.is(await bench.text('stat -c "%a %u %h" /tank/new && ls -a /tank/new | wc -l'), '755 0 2\n2')
  await bench.shell('echo hello > /tank/new/file && mkdir /tank/new/sub && chmod 700 /tank/new')
  await bench.shell('zfs unmount tank/new && zfs mount tank/new && grep hello /tank/new/file')
}

async function encrypted(bench: Bench): Promise<void> {
  const { engine } = bench
  await engine.do('create', 'emb/secret', 'volume', key, `volsize:=${4 * MIB}`, 'volblocksize:=16384', ...encryption)
  await engine.do('write', 'emb/secret', 0, 2 * MIB, 9)
  await engine.do('snapshot', 'emb/secret@a')
  await bench.toHost('tank/secret', ['emb/secret@a', '-', 8, bench.file('raw')])
  await bench.shell(`printf %s ${key} | zfs load-key tank/secret`)
  assert.is(await bench.hostSum('tank/secret'), await bench.engineSum('emb/secret@a'))

  await bench.shell(`printf %s ${key} | zfs create -o encryption=aes-256-gcm -o keyformat=raw tank/private`)
  await bench.shell('seq 50000 > /tank/private/numbers && zfs snapshot tank/private@a')
  await bench.toEngine('zfs send -w tank/private@a', ['emb/private@a', bench.file('theirs')])
  await bench.toHost('tank/returned', ['emb/private@a', '-', 8, bench.file('raw')])
  await bench.shell(`printf %s ${key} | zfs load-key tank/returned && zfs mount tank/returned`)
  await bench.shell('cmp /tank/private/numbers /tank/returned/numbers')
}

async function everything(zfs: Release, profile: (typeof profiles)[number]): Promise<void> {
  const built = await build(zfs)
  await using lab = await openLab({ hosts: [{ name: 'alpha', profile }] })
  const host = lab.host('alpha')
  await host.run(['zpool', 'create', '-O', 'volmode=none', 'tank', ...host.disks])
  await withDirectory(async (directory) => {
    await using engine = new Engine(built)
    await engine.do('open', directory, 'emb')
    const bench = new Bench(host, engine, directory)
    await volumes(bench)
    await resumed(bench)
    await filesystems(bench)
    await encrypted(bench)
    await engine.do('close', 'emb')
  })
}

for (const zfs of releases) {
  for (const profile of profiles) {
    test(`embedded ${zfs} and the ${profile} kernel understand each other`, () => everything(zfs, profile))
  }
}

test.run()
