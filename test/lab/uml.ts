import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import type { Profile } from './build/index.js'
import { type HostPlan, hostsFile, keptDirectories, type Machine } from './machine.js'

const SHARED_MEMORY = '/dev/shm'

const FIRST_HOST_ID = 0x1ab00000

/** A machine in User-Mode Linux: a kernel that runs as an ordinary process. */
export class UmlMachine implements Machine {
  readonly plan: HostPlan
  readonly address: string
  readonly disks: readonly string[]
  readonly pool = 'tank'
  readonly canLosePower = true
  readonly #profile: Profile

  constructor(plan: HostPlan, profile: Profile) {
    this.plan = plan
    this.#profile = profile
    this.address = addressOf(plan.number)
    this.disks = plan.diskImages.map((_image, index) => `/dev/ubd${String.fromCharCode(97 + index)}`)
  }

  async command(): Promise<string[]> {
    const { diskImages, memoryBytes, name, number, tools, directory } = this.plan
    const address = `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`
    return [
      ...[this.#profile.kernel, `mem=${Math.ceil(memoryBytes / 2 ** 20)}M`, ...this.#profile.bootArgs],
      ...diskImages.map((image, index) => `ubd${index}=${image}`),
      ...['rootfstype=hostfs', 'ro', `init=${tools.agent}`, 'con=null', 'con0=null,fd:1', 'ssl=null', 'ssl0=fd:3'],
      ...[`vec0:transport=fd,fd=4,mac=${address}`, 'quiet', 'panic=-1', 'oops=panic'],
      ...[`uml_dir=${directory}/`, `umid=${name}`],
    ]
  }

  /** The guest's memory is a file in TMPDIR that User-Mode Linux unlinks at once; it fills only as the guest uses it. */
  async environment(): Promise<Record<string, string>> {
    const hasRoom = (await roomIn(SHARED_MEMORY)) >= this.plan.memoryBytes
    return { TMPDIR: hasRoom ? SHARED_MEMORY : this.plan.directory }
  }

  configuration(): string[] {
    const { name, names, number, directory } = this.plan
    const { modules, userland } = this.#profile
    return [
      `hostname=${name}`,
      `address=${this.address}`,
      `hosts=${hostsFile(names, addressOf)}`,
      `hostid=${(FIRST_HOST_ID + number).toString(16)}`,
      `inbox=${directory}`,
      ...[userland, ...this.plan.layers].map((path) => `layer=${path}`),
      ...keptDirectories().map((path) => `keep=${path}`),
      // A failed assertion in ZFS ends the host, loudly, instead of leaving a thread that hangs.
      ...modules.map((module) => `module=${module}${module.endsWith('/spl.ko') ? ' spl_panic_halt=1' : ''}`),
    ]
  }

  async giveBack(): Promise<void> {
    // All that it has ends with it.
  }
}

function addressOf(number: number): string {
  return `10.77.0.${number}`
}

/** Bytes free in a directory; none where there is no such directory. */
async function roomIn(directory: string): Promise<number> {
  if (!existsSync(directory)) return 0
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}
