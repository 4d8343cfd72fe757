/** `npm run lab`: boots hosts and gives a person a shell on the first; leaving it ends them. */
import { Command, InvalidArgumentError } from 'commander'
import type { Host } from './host.js'
import { type HostOptions, openLab, type ProfileName } from './index.js'

interface ShellOptions {
  profile: ProfileName
  hosts: number
  disk: string
  memory: string
}

const NAMES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta']

function parseProfile(text: string): ProfileName {
  if (text === 'newest' || text === 'oldest') return text
  throw new InvalidArgumentError('There are newest and oldest.')
}

function parseHosts(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= NAMES.length) return count
  throw new InvalidArgumentError(`A number from 1 to ${NAMES.length} is needed.`)
}

function terminalSize(): { rows: number; columns: number } {
  return { rows: process.stdout.rows ?? 24, columns: process.stdout.columns ?? 80 }
}

/** Connects this process's terminal with a shell on the host until that ends; returns the shell's exit status. */
async function interact(host: Host): Promise<number> {
  const env = { TERM: process.env.TERM ?? 'dumb', PS1: `\\u@${host.name}:\\w# ` }
  const shell = host.spawn(['bash', '--norc', '-i'], { terminal: terminalSize(), env, cwd: '/root' })
  const resize = () => shell.resize(terminalSize().rows, terminalSize().columns)
  process.stdout.on('resize', resize)
  process.stdin.setRawMode?.(true)
  process.stdin.pipe(shell.stdin)
  shell.stdout.pipe(process.stdout, { end: false })
  try {
    return (await shell.exit).status ?? 1
  } finally {
    process.stdin.unpipe(shell.stdin)
    process.stdin.setRawMode?.(false)
    process.stdin.pause()
    process.stdout.off('resize', resize)
  }
}

function welcome(hosts: readonly Host[], profile: string): string {
  const rows = hosts.map((host) => `  ${host.name.padEnd(8)} ${host.address.padEnd(12)} ${host.disks.join(' ')}`)
  const first = hosts[0]
  return [
    `Hosts with ZFS (${profile}); this is a shell on ${first?.name}, leaving it ends them all:`,
    ...rows,
    `Try: zpool create tank ${first?.disks[0] ?? 'FILE'}; zfs create tank/data; zfs list`,
    ...(hosts.length > 1
      ? ['Cables: each host reaches the others by name. Each has an own kernel, root and pools.']
      : []),
    '',
  ].join('\n')
}

async function main(): Promise<void> {
  const command = new Command('lab')
    .description('Boot hosts with ZFS and open a shell on the first.')
    .option('--profile <name>', 'newest or oldest', parseProfile, 'newest')
    .option('--hosts <number>', 'how many', parseHosts, 1)
    .option('--disk <size>', 'of each host, such as "4 GiB"', '2 GiB')
    .option('--memory <size>', 'of each host', '1 GiB')
    .parse()
  const { profile, hosts: count, disk, memory } = command.opts<ShellOptions>()
  const hosts: HostOptions[] = NAMES.slice(0, count).map((name) => ({ name, profile, disks: [disk], memory }))
  await using lab = await openLab({ hosts })
  const first = lab.hosts[0]
  if (first === undefined) return
  console.log(welcome(lab.hosts, profile))
  process.exitCode = await interact(first)
}

main().catch((error: Error) => {
  console.error(`lab: ${error.message}`)
  process.exitCode = 1
})
