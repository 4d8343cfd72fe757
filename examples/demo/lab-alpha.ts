/** Runs on alpha: makes a volume, fills it with real files, pushes it, changes some files, pushes again. A JSON line an event. */
import { copyFile, cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openHost, type Peer, pushVolume, type Volume } from 'flocker-zfs'
import { type ProgressEvent, toEvent } from './report.js'

export type DemoEvent =
  | { event: 'filled'; files: number; bytes: number; seconds: number }
  | { event: 'changed' }
  | ProgressEvent
  | { event: 'pushed'; kind: string; bytes: string; milliseconds: number; guid: string }

const sources = ['/usr/lib', '/usr/share', '/usr/bin']
const targetBytes = 300 * 1024 * 1024
const largestFile = 24 * 1024 * 1024
/** Smaller ones would mostly measure how fast a host opens files. */
const smallestFile = 32 * 1024

function emit(event: DemoEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

async function main(): Promise<void> {
  await using host = await openHost({ pool: process.argv[2] ?? 'tank', credentials: '/etc/flocker-zfs' })
  const volume = await host.createVolume('files')
  const directory = volume.path as string
  const started = performance.now()
  const { files, bytes } = await fill(directory)
  emit({ event: 'filled', files, bytes, seconds: (performance.now() - started) / 1000 })
  await using beta = await host.connect('beta')
  await push(volume, beta)
  await change(directory)
  emit({ event: 'changed' })
  await push(volume, beta)
}

async function push(volume: Volume, beta: Peer): Promise<void> {
  const pushed = await pushVolume(volume, beta, {
    onProgress: (progress) => emit(toEvent(progress)),
  })
  const { kind, bytes, milliseconds, guid } = pushed
  emit({ event: 'pushed', kind, bytes: `${bytes}`, milliseconds, guid: `${guid}` })
}

/** Copies this machine's own files until there are enough of them. */
async function fill(directory: string): Promise<{ files: number; bytes: number }> {
  const done = { files: 0, bytes: 0 }
  for (const source of sources) await copyTree(source, join(directory, source), done)
  return done
}

async function copyTree(from: string, to: string, done: { files: number; bytes: number }): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (done.bytes >= targetBytes) return
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await copyTree(source, target, done)
    if (!entry.isFile()) continue
    const { size } = await stat(source)
    if (size > largestFile || size < smallestFile) continue
    await mkdir(to, { recursive: true })
    await copyFile(source, target)
    done.files += 1
    done.bytes += size
  }
}

/** Renames a tree, removes a few files, and adds copies of others. */
async function change(directory: string): Promise<void> {
  const base = join(directory, 'usr/lib')
  const entries = (await readdir(base, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const [first] = entries
  if (first === undefined) throw new Error(`${base} holds no directory`)
  await rename(join(base, first.name), join(base, `${first.name}-renamed`))
  const files = (await readdir(base, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile())
  for (const entry of files.slice(0, 5)) await rm(join(entry.parentPath ?? entry.path, entry.name))
  const copies = files.slice(5).filter((_, i) => i % 40 === 0)
  for (const [i, entry] of copies.slice(0, 100).entries()) {
    await cp(join(entry.parentPath ?? entry.path, entry.name), join(directory, 'new', `${i}-${entry.name}`))
  }
}

void main()
