/** Makes the database's volume on this host, and starts the database on it. */
import { parseArgs } from 'node:util'
import { openHost } from 'flocker-zfs'
import { clientPort, database } from './database.js'

const { values } = parseArgs({
  options: {
    pool: { type: 'string', default: 'tank' },
    credentials: { type: 'string', default: '/etc/flocker-zfs' },
    engine: { type: 'string', default: '/var/run/docker.sock' },
    image: { type: 'string', default: 'postgres:16' },
    pull: { type: 'boolean', default: false },
  },
})
const { image, pull, ...where } = values

await using host = await openHost({ ...where, recovery: 'none' })
await host.createVolume('pgdata', { quota: '2 GiB', properties: { recordsize: '8K', compression: 'lz4' } })
await host.startContainer(database(image), { pull })
await host.waitReady('db')
console.log(`db runs on ${host.identity}; its clients find it at port ${clientPort} of every host`)
