/** Ways to bring volumes from alpha to beta, each to a place of its own there. */
import type { Cluster } from '../../test/hosts/cluster.js'
import { agentPort, root } from '../../test/lab/pair.js'
import type { Sample } from '../frame/result.js'
import { destroy } from './destroy.js'
import type { Pushed, PushOrder } from './guest/push.js'
import { type Load, namesOf } from './load.js'
import { cipher } from './peers.js'

/** A move of a snapshot; from another one, if the place has that already. */
export interface Move {
  snapshot: string
  from?: string | undefined
}

export interface Way {
  label: string
  /** Needs the tools of others. */
  foreign?: true
  move(cluster: Cluster, load: Load, move: Move): Promise<Sample>
  /** Removes what was brought. */
  clear(cluster: Cluster): Promise<void>
}

export const pushLabel = 'pushVolume'
export const syncoidLabel = 'syncoid'
export const localLabel = 'zfs send | zfs receive, in one host'
const timeoutMilliseconds = 5 * 60_000

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

const push: Way = {
  label: pushLabel,
  async move({ alpha }, load, { snapshot, from }) {
    const kind = from === undefined ? 'full' : 'incremental'
    const order: PushOrder = { pool: alpha.pool, peer: `beta:${agentPort}`, volumes: namesOf(load), snapshot, kind }
    let said = ''
    const whole = await timed(async () => {
      const run = alpha.runEntry('bench/hosts/guest/push.ts', [JSON.stringify(order)], { timeoutMilliseconds })
      said = (await run).stdout
    })
    const { milliseconds, bytes } = JSON.parse(said) as Pushed
    return { seconds: milliseconds / 1000, whole, megabytes: bytes / 1e6 }
  },
  clear: ({ beta }) => destroy(beta, root(beta)),
}

/** One shell command on alpha that does it all. */
function shell(
  label: string,
  script: (cluster: Cluster, load: Load, move: Move) => string,
  where: 'alpha' | 'beta',
  target: string,
  foreign?: true,
): Way {
  return {
    label,
    ...(foreign && { foreign }),
    async move(cluster, load, move) {
      const argv = ['bash', '-c', `set -e -o pipefail; ${script(cluster, load, move)}`]
      const seconds = await timed(() => cluster.alpha.run(argv, { timeoutMilliseconds }))
      return { seconds, whole: seconds }
    },
    clear: (cluster) => destroy(cluster[where], `${cluster[where].pool}/${target}`),
  }
}

/** `zfs send` of one volume by itself, or of all in one stream. */
function sending({ alpha }: Cluster, { volumes }: Load, { snapshot, from }: Move): string {
  const flags = `${volumes > 1 ? '-R ' : ''}-Lec ${from === undefined ? '' : `-i @${from}`}`
  return `zfs send ${flags} ${root(alpha)}${volumes > 1 ? '' : '/v0'}@${snapshot}`
}

const ssh = `ssh -T -c ${cipher} root@beta`

export const ways: readonly Way[] = [
  push,
  shell(
    syncoidLabel,
    ({ alpha, beta }, { volumes }) => {
      const [from, to] = volumes > 1 ? [root(alpha), `${beta.pool}/sync`] : [`${root(alpha)}/v0`, `${beta.pool}/sync`]
      const flags = `--no-sync-snap --no-privilege-elevation --compress=none --sshcipher=${cipher} --quiet`
      return `syncoid ${flags} ${volumes > 1 ? '--recursive' : ''} --sendoptions="L e c" ${from} root@beta:${to}`
    },
    'beta',
    'sync',
    true,
  ),
  shell(
    'zfs send | ssh | zfs receive',
    (cluster, load, move) => `${sending(cluster, load, move)} | ${ssh} zfs receive -u ${cluster.beta.pool}/ssh`,
    'beta',
    'ssh',
    true,
  ),
  shell(
    localLabel,
    (cluster, load, move) => `${sending(cluster, load, move)} | zfs receive -u ${cluster.alpha.pool}/local`,
    'alpha',
    'local',
  ),
]
