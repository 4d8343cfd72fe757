/** Makes a volume, keeps a replica of it on another host, and moves it there. The README says how to run it. */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { handoffVolume, openHost, pushVolume } from 'flocker-zfs'

const text = { type: 'string' } as const
const flags = { pool: text, embedded: text, credentials: { ...text, default: '/etc/flocker-zfs' } }
const { values, positionals } = parseArgs({ options: flags, allowPositionals: true })

await using alpha = await openHost(values)
await using beta = await alpha.connect(positionals[0] ?? 'beta')

const volume = await alpha.createVolume('notes', values.embedded === undefined ? {} : { size: '64 MiB' })
async function write(words: string): Promise<void> {
  if (volume.path === undefined) await volume.write(0, Buffer.from(words))
  else await writeFile(`${volume.path}/notes.txt`, words)
}

await write('Written before the push.')
const pushed = await pushVolume(volume, beta, {
  onProgress: ({ bytes, total }) => console.log(`  ${bytes} of about ${total} bytes`),
})
console.log(`${beta.identity} has ${pushed.snapshot}: ${pushed.kind}, ${pushed.bytes} bytes, guid ${pushed.guid}`)

await write('Written after the push.')
const moved = await handoffVolume(volume, beta, {
  quiesce: () => write('Written at the last moment.'), // stop here what uses the volume
  resume: () => console.log('It stays here: start again what uses it.'),
})
console.log(
  `${moved.owner} owns ${volume.name} since epoch ${moved.epoch}; paused for ${Math.round(moved.pauseMilliseconds)} ms`,
)
