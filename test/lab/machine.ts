import { resolve } from 'node:path'
import type { Host } from './host.js'
import { cacheDirectory, checkout } from './paths.js'
import type { Tools } from './tools.js'

/** What is decided of a host before it is first booted, whatever it runs on. */
export interface HostPlan {
  name: string
  /** From 1. */
  number: number
  memoryBytes: number
  diskImages: readonly string[]
  /** Directories of the outside laid over its root, below those of the profile. */
  layers: readonly string[]
  tools: Tools
  /** Of this host alone, within the lab's. */
  directory: string
  switchSocket: string
  /** The names of all hosts of the lab, by number. */
  names: readonly string[]
  bootTimeoutMilliseconds: number
}

/** What a host runs on: how the agent is started there and what it is told to set up. */
export interface Machine {
  readonly plan: HostPlan
  readonly address: string
  /** What `zpool create` takes. */
  readonly disks: readonly string[]
  readonly pool: string
  readonly canLosePower: boolean
  /** The program that outside/power.c starts, with its arguments. */
  command(): Promise<string[]>
  environment(): Promise<Record<string, string>>
  /** The entries that guest/setup.c reads. */
  configuration(): string[]
  /** Undoes what outlives the agent, before it is ended. */
  giveBack(host: Host): Promise<void>
}

/** A hosts(5) file with all hosts of a lab. */
export function hostsFile(names: readonly string[], addressOf: (number: number) => string): string {
  const lines = names.map((name, index) => `${addressOf(index + 1)} ${name}\n`)
  return `127.0.0.1 localhost\n${lines.join('')}`
}

/** Directories of the outside that a host must see, wherever they are. */
export function keptDirectories(): string[] {
  return [...new Set([checkout, resolve(process.execPath, '../..'), cacheDirectory()])]
}
