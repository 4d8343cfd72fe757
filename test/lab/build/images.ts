/** Images for container engines, as archives that `docker load` and `podman load` take: equal inputs make equal image ids. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, copyFile, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { StepOptions } from './apt.js'
import { run } from './command.js'
import { recipeDirectory } from './pins.js'

export const image = z.object({
  /** Such as `localhost/lab/postgres:15`; with a host's name in it, Docker and Podman keep it alike. */
  reference: z.string(),
  /** `sha256:` and the digest of its configuration: what the engines call its id. */
  id: z.string(),
  /** The archive's file. */
  archive: z.string(),
})
export type Image = z.infer<typeof image>

/** The part of an image's configuration that says how its containers run. */
interface Runtime {
  Env: string[]
  Entrypoint?: string[]
  Cmd?: string[]
  StopSignal?: string
}

const CREATED = '1970-01-01T00:00:00Z'
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const POSTGRES_ID = 999
/** Directories that anybody may write to. */
const WRITABLE = ['tmp', 'run/postgresql']

/** A shell and the small tools, of one static program. */
export async function packBusybox(tree: string, result: string, step: StepOptions): Promise<Image> {
  const root = `${tree}.root`
  await baseTree(tree, root, step)
  return pack('localhost/lab/busybox:1', root, join(result, 'images'), { Env: [PATH], Cmd: ['sh'] }, step)
}

/** PostgreSQL that makes its cluster itself; see profiles/postgres-entrypoint.sh. */
export async function packPostgres(tree: string, result: string, step: StepOptions): Promise<Image> {
  const root = `${tree}.root`
  await baseTree(tree, root, step)
  await cp(join(tree, 'usr/lib'), join(root, 'usr/lib'), { recursive: true, verbatimSymlinks: true })
  await cp(join(tree, 'usr/share/postgresql'), join(root, 'usr/share/postgresql'), { recursive: true })
  await copyZones(tree, root)
  await mkdir(join(root, 'usr/lib64'), { recursive: true })
  await symlink('../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', join(root, 'usr/lib64/ld-linux-x86-64.so.2'))
  // What no server needs, and what loads slowly because it is much.
  const unneeded = ['lib/postgresql/15/lib/bitcode', 'lib/postgresql/15/lib/pgxs', 'lib/x86_64-linux-gnu/gconv']
  for (const path of [...unneeded, 'lib/systemd', 'share/postgresql/15/man'])
    await rm(join(root, 'usr', path), { recursive: true, force: true })
  await mkdir(join(root, 'usr/local/bin'), { recursive: true })
  await copyFile(join(recipeDirectory, 'postgres-entrypoint.sh'), join(root, 'usr/local/bin/entrypoint'))
  await chmod(join(root, 'usr/local/bin/entrypoint'), 0o755)
  await mkdir(join(root, 'var/lib/postgresql'), { recursive: true })
  await mkdir(join(root, 'run/postgresql'))
  const runtime: Runtime = {
    Env: [
      'PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'PGDATA=/var/lib/postgresql/data',
      'PGPORT=5432',
      'LANG=C.UTF-8',
      'TZ=UTC',
    ],
    Entrypoint: ['/usr/local/bin/entrypoint'],
    StopSignal: 'SIGINT',
  }
  return pack('localhost/lab/postgres:15', root, join(result, 'images'), runtime, step)
}

/** The directories and accounts of a small system, and busybox with its links. */
async function baseTree(tree: string, root: string, step: StepOptions): Promise<void> {
  for (const name of [
    'etc',
    'usr/bin',
    'usr/sbin',
    'usr/lib',
    'usr/share',
    'proc',
    'sys',
    'dev',
    'run',
    'tmp',
    'root',
    'var',
  ])
    await mkdir(join(root, name), { recursive: true })
  await symlink('../run', join(root, 'var/run'))
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${name}`, join(root, name))
  await mkdir(join(root, 'usr/lib64'), { recursive: true })
  await writeFile(
    join(root, 'etc/passwd'),
    `root:x:0:0:root:/root:/bin/sh\npostgres:x:${POSTGRES_ID}:${POSTGRES_ID}::/var/lib/postgresql:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n`,
  )
  await writeFile(join(root, 'etc/group'), `root:x:0:\npostgres:x:${POSTGRES_ID}:\nnogroup:x:65534:\n`)
  await writeFile(join(root, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n')
  const busybox = join(root, 'usr/bin/busybox')
  await copyFile(join(tree, 'usr/bin/busybox'), busybox)
  await chmod(busybox, 0o755)
  const list = await run(busybox, ['--list'], { ...step, what: 'listing what busybox can do', deadline: 10_000 })
  for (const name of list.split('\n').filter((line) => line !== '' && line !== 'busybox'))
    await symlink('busybox', join(root, 'usr/bin', name))
}

/** UTC under its names: the servers of tests keep no other time. */
async function copyZones(tree: string, root: string): Promise<void> {
  const zones = join(root, 'usr/share/zoneinfo')
  await mkdir(join(zones, 'Etc'), { recursive: true })
  for (const name of ['UTC', 'Etc/UTC']) await copyFile(join(tree, 'usr/share/zoneinfo/Etc/UTC'), join(zones, name))
}

/** Writes the archive of an image with one layer (the format of `docker save`) and returns what identifies it. */
async function pack(
  reference: string,
  root: string,
  directory: string,
  runtime: Runtime,
  step: StepOptions,
): Promise<Image> {
  const name = reference.replace(/^.*\/|:.*$/g, '')
  // Whatever umask this process has.
  const common = { ...step, what: 'setting the modes of an image', deadline: 60_000 }
  await run('chmod', ['-R', 'u=rwX,go=rX', root], common)
  await run('chmod', ['1777', ...WRITABLE.map((path) => join(root, path)).filter(existsSync)], common)
  const parts = `${root}.parts`
  await mkdir(join(parts, 'layer'), { recursive: true })
  const layer = join(parts, 'layer/layer.tar')
  await tar(root, layer, ['.'], step)
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: CREATED,
    config: runtime,
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest(await readFile(layer))}`] },
    history: [{ created: CREATED, created_by: 'flocker-zfs lab' }],
  })
  const id = digest(config)
  await writeFile(join(parts, `${id}.json`), config)
  const entry = { Config: `${id}.json`, RepoTags: [reference], Layers: ['layer/layer.tar'] }
  await writeFile(join(parts, 'manifest.json'), JSON.stringify([entry]))
  await tar(parts, join(directory, `${name}.tar`), (await readdir(parts)).sort(), step)
  return { reference, id: `sha256:${id}`, archive: `images/${name}.tar` }
}

/** Without times and owners of this machine. */
async function tar(directory: string, file: string, names: readonly string[], step: StepOptions): Promise<void> {
  const unfinished = `${file}.unfinished`
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  await run('tar', [...flags, '-C', directory, '-cf', unfinished, ...names], {
    ...step,
    what: 'packing an image',
    deadline: 120_000,
  })
  await rename(unfinished, file)
}

function digest(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
