import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from './cluster.js'

const checkout = join(__dirname, '../../..')

test("the README's example is the one in examples/, and it runs", async () => {
  const source = await readFile(join(checkout, 'examples/push-volume.mts'), 'utf8')
  const readme = await readFile(join(checkout, 'README.md'), 'utf8')
  assert.ok(readme.includes(`\`\`\`ts\n${source}\`\`\``))
  await using cluster = await Cluster.open()
  await cluster.createVolume('pgdata')
  await cluster.fill('pgdata', 'base', 4)
  const program = await readFile(join(checkout, 'build/examples/push-volume.mjs'), 'utf8')
  const { stdout } = await cluster.alpha.run(['node', '--input-type=module'], {
    cwd: checkout,
    input: program.replace("'tank'", `'${cluster.alpha.pool}'`),
  })
  assert.match(stdout, /\/flocker\/pgdata@flocker-\S+ is on beta: full, \d+ bytes, guid \d+\n$/)
  assert.is(await cluster.replicaHashes('pgdata'), await cluster.hashes(cluster.alpha, '/flocker/pgdata'))
})

test.run()
