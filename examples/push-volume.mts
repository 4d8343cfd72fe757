import { openHost, pushVolume } from 'flocker-zfs'

await using host = await openHost({ pool: 'tank', credentials: '/etc/flocker-zfs' })
await using beta = await host.connect('beta:4523')

const volume = await host.getVolume('pgdata')
const pushed = await pushVolume(volume, beta, {
  signal: AbortSignal.timeout(3_600_000),
  onProgress: ({ bytes, total }) => console.log(`${bytes} of about ${total} bytes`),
})
console.log(`${pushed.snapshot} is on ${beta.identity}: ${pushed.kind}, ${pushed.bytes} bytes, guid ${pushed.guid}`)
