/**
 * Runs as alpha, in a process of its own: keeps an archive of this machine's files in a block volume of a pool in a file, and
 * pushes it to beta. `embedded-alpha DIRECTORY PORT VOLUME full|change|again`; a JSON line an event.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openHost, pushVolume, type Volume } from 'flocker-zfs'
import { mebibyte, type ProgressEvent, toEvent } from './report.js'

export type EmbeddedEvent =
  | { event: 'filled'; bytes: number; seconds: number }
  | ProgressEvent
  | { event: 'pushed'; kind: string; bytes: string; kept: string; milliseconds: number; guid: string }

const volumeBytes = 512 * mebibyte
const archiveBytes = 320 * mebibyte
const changedBytes = 160 * mebibyte

function emit(event: EmbeddedEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

async function main(directory: string, port: string, volumeName: string, what: string): Promise<void> {
  await using host = await openHost({
    embedded: join(directory, 'a'),
    pool: 'alpha',
    credentials: join(directory, 'alpha'),
  })
  const volume =
    what === 'full' ? await host.createVolume(volumeName, { size: volumeBytes }) : await host.getVolume(volumeName)
  if (what === 'full') await fill(volume, 0, archiveBytes, ['/usr/lib', '/usr/share'])
  if (what === 'change') await fill(volume, 64 * mebibyte, changedBytes, ['/usr/share', '/usr/bin'])
  await using beta = await host.connect(`127.0.0.1:${port}`)
  const { kind, bytes, milliseconds, guid, resumed } = await pushVolume(volume, beta, {
    onProgress: (progress) => emit(toEvent(progress)),
  })
  emit({ event: 'pushed', kind, bytes: `${bytes}`, kept: `${resumed?.kept ?? 0n}`, milliseconds, guid: `${guid}` })
}

/** Writes so many bytes of a tar archive of these directories into the volume. */
async function fill(volume: Volume, start: number, bytes: number, directories: readonly string[]): Promise<void> {
  const started = performance.now()
  const tar = spawn('tar', ['-cf', '-', ...directories], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(tar, 'exit')
  let written = 0
  const firstBytes = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of tar.stdout as AsyncIterable<Buffer>) {
      const part = chunk.subarray(0, bytes - written)
      written += part.length
      yield part
      if (written === bytes) return
    }
  }
  await pipeline(firstBytes, volume.writable({ start }))
  await ended
  emit({ event: 'filled', bytes: written, seconds: (performance.now() - started) / 1000 })
}

const [directory = '', port = '', volumeName = '', what = ''] = process.argv.slice(2)
void main(directory, port, volumeName, what)
