import { readFile } from 'node:fs/promises'

export interface Mount {
  directory: string
  /** As the kernel tells them: `ro`, `noexec`, `noatime`. */
  options: ReadonlySet<string>
}

/** Where ZFS filesystems are mounted now, by dataset; the last mounted first. */
export async function readMounts(): Promise<Map<string, Mount[]>> {
  const mounts = new Map<string, Mount[]>()
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [device, directory, type, options = ''] = line.split(' ').map(unescapeField)
    if (type !== 'zfs' || device === undefined || directory === undefined) continue
    mounts.set(device, [{ directory, options: new Set(options.split(',')) }, ...(mounts.get(device) ?? [])])
  }
  return mounts
}

/** The kernel writes space, tab, newline and backslash as octal, fs/proc_namespace.c. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
