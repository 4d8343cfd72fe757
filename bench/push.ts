/**
 * `npm run bench`: pushVolume between two lab hosts beside `zfs send | zfs receive` within one, taken in turn, as ratios. Both
 * move the same snapshot; what a lab host measures in MiB/s is the lab's, the ratio is ours.
 */
import { Cluster } from '../test/hosts/cluster.js'
import { root } from '../test/lab/pair.js'
import { machine, mebibyte, print, printRatios, type Sample } from './report.js'

const rounds = 3
const mebibytes = 384

async function main(): Promise<void> {
  await using cluster = await Cluster.open({ disk: '4 GiB', memory: '1 GiB' })
  await cluster.createVolume('data')
  await cluster.fill('data', 'files', mebibytes)
  const snapshot = `${root(cluster.alpha)}/data@bench`
  await cluster.alpha.run(['zfs', 'snapshot', snapshot])
  const versions = (await cluster.alpha.run(['sh', '-c', 'zfs version; uname -r; node --version'])).stdout
    .trim()
    .split('\n')
  console.log(`${machine()}; ${versions.join(', ')}; ${mebibytes} MiB of incompressible files\n`)

  const local: Sample[] = []
  const pushed: Sample[] = []
  for (let round = 0; round < rounds; round++) {
    local.push(await pipe(cluster, snapshot))
    pushed.push(await push(cluster))
  }
  print('zfs send | zfs receive, in one host', local)
  print('pushVolume, over mutual TLS', pushed)
  console.log()
  printRatios('ratio', pushed, local)
}

async function pipe(cluster: Cluster, snapshot: string): Promise<Sample> {
  const started = performance.now()
  await cluster.alpha.run(['sh', '-c', `zfs send -Lec ${snapshot} | zfs receive -u ${cluster.alpha.pool}/copy`])
  const seconds = (performance.now() - started) / 1000
  await cluster.alpha.run(['zfs', 'destroy', '-r', `${cluster.alpha.pool}/copy`])
  return { bytes: mebibytes * mebibyte, seconds }
}

async function push(cluster: Cluster): Promise<Sample> {
  const { result, error } = await cluster.push({ volume: 'data', snapshot: 'bench' })
  if (result === undefined) throw new Error(error?.message ?? 'the push said nothing')
  await cluster.beta.run(['zfs', 'destroy', '-r', `${root(cluster.beta)}/data`])
  return { bytes: result.bytes, seconds: result.milliseconds / 1000 }
}

void main()
