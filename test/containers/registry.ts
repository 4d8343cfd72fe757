/** A registry with one image (Docker Registry HTTP API V2, read only), so that an engine can fetch it. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

const types = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
}

interface Blob {
  mediaType: string
  digest: string
  size: number
  bytes: Buffer
}

function blob(mediaType: string, bytes: Buffer): Blob {
  return { mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length, bytes }
}

/** Serves what `docker save` makes of an image, at a port of 127.0.0.1, which engines take without TLS. */
export async function serveImage(save: (file: string) => Promise<unknown>, port: number): Promise<Server> {
  const directory = await mkdtemp(join(tmpdir(), 'registry-'))
  const archive = join(directory, 'image.tar')
  await save(archive)
  await promisify(execFile)('tar', ['-xf', archive, '-C', directory])
  const [{ Config, Layers }] = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8'))
  const config = blob(types.config, await readFile(join(directory, Config)))
  const layers: Blob[] = []
  for (const layer of Layers)
    layers.push(blob(types.layer, gzipSync(await readFile(join(directory, layer)), { level: 1 })))
  await rm(directory, { recursive: true })
  const describe = ({ bytes: _, ...rest }: Blob) => rest
  const content = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(config),
    layers: layers.map(describe),
  }
  const manifest = blob(types.manifest, Buffer.from(JSON.stringify(content)))

  const server = createServer(({ url = '', method }, response) => {
    const found = url.includes('/manifests/')
      ? manifest
      : [config, ...layers].find(({ digest }) => url.endsWith(`/blobs/${digest}`))
    if (url === '/v2/') response.end('{}')
    else if (found === undefined) response.writeHead(404).end('{}')
    else {
      const { mediaType, digest, size, bytes } = found
      const headers = { 'content-type': mediaType, 'docker-content-digest': digest, 'content-length': size }
      response.writeHead(200, headers).end(method === 'HEAD' ? undefined : bytes)
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
