/**
 * Two lab hosts, one of each profile, each of which is a source and a destination: volumes in the pool `tank` are sent by the
 * command, and an agent with an identity of its own receives into the pool `vault`. So two kernels make four directions.
 * These pools have the features that OpenZFS 2.1 has; the third disk is for others.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../../src/index.js'
import { sh } from '../embedded/content.js'
import { type Host, type Lab, openLab, type ProfileName } from '../lab/index.js'
import { agentPort, commandLine, installCredentials, startAgent } from '../lab/pair.js'

export const profiles = ['newest', 'oldest'] as const
const senderDirectory = '/etc/flocker-zfs-sender'

/** What the command prints with --json. */
export interface Printed {
  outcomes: { kind: string; step: { kind: string; source: string }; error?: { code: string; message: string } }[]
  findings: { kind: string; source: string }[]
  failed: number
  leftOut: number
}

export interface PushOptions {
  pool?: string
  flags?: readonly string[]
  timeoutMilliseconds?: number
}

export class Directions implements AsyncDisposable {
  private constructor(
    private readonly lab: Lab,
    private readonly certificates: string,
  ) {}

  /** @param memory of each host */
  static async open(memory: string): Promise<Directions> {
    const disks = ['1 GiB', '1 GiB', '256 MiB']
    const lab = await openLab({
      hosts: profiles.map((profile) => ({ name: profile, profile, disks, memory })),
      bootTimeoutMilliseconds: 120_000,
    })
    const directions = new Directions(lab, await mkdtemp(join(tmpdir(), 'flocker-zfs-')))
    try {
      await createCa(join(directions.certificates, 'ca'), { name: 'lab' })
      await Promise.all(profiles.map((profile) => directions.#equip(lab.host(profile))))
      return directions
    } catch (error) {
      await directions[Symbol.asyncDispose]()
      throw error
    }
  }

  host(profile: ProfileName): Host {
    return this.lab.host(profile)
  }

  /** `flocker-zfs push --recursive` from one host's source pool to the other's, or its own, `vault`. */
  async push(from: ProfileName, to: ProfileName, volume: string, options: PushOptions = {}): Promise<Printed> {
    const { pool = 'tank', flags = [], timeoutMilliseconds = 120_000 } = options
    const argv = ['node', commandLine, 'push', volume, `${to}:${agentPort}`, '--recursive', '--json']
    argv.push('--pool', pool, '--credentials', senderDirectory, ...flags)
    const { stdout, stderr, status, signal } = await this.host(from).run(argv, { check: false, timeoutMilliseconds })
    if (stdout === '') throw new Error(`pushing ${volume} from ${from} to ${to}: ${signal ?? status}: ${stderr}`)
    return JSON.parse(stdout) as Printed
  }

  async #equip(host: Host): Promise<void> {
    const { name } = host
    for (const identity of [name, `${name}-vault`]) {
      await createHostCertificate(join(this.certificates, 'ca'), join(this.certificates, identity), {
        identity,
        addresses: [name, host.address],
      })
    }
    await installCredentials(host, join(this.certificates, name), senderDirectory)
    await installCredentials(host, join(this.certificates, `${name}-vault`))
    // No volume has a device but the one that is being looked at.
    const create = 'zpool create -O compression=off -O mountpoint=none -O volmode=none'
    const compatible = `${create} -o compatibility=openzfs-2.1-linux`
    await sh(host, `${compatible} tank "$1"; ${compatible} vault "$2"`, ...host.disks)
    const rules = profiles.map((peer) => ({
      peer,
      verbs: ['inspect' as const, 'receive' as const],
      datasets: ['vault/flocker/**'],
    }))
    await startAgent(host, ['--pool', 'vault'], rules, [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]()
    await rm(this.certificates, { recursive: true, force: true })
  }
}
