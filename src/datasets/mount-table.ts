import { readFile } from 'node:fs/promises'

/** Where ZFS filesystems are mounted now, by dataset; the last mounted first. */
export async function mountedAt(): Promise<Map<string, string[]>> {
  const mounts = new Map<string, string[]>()
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [device, directory, type] = line.split(' ').map(unescapeField)
    if (type !== 'zfs' || device === undefined || directory === undefined) continue
    mounts.set(device, [directory, ...(mounts.get(device) ?? [])])
  }
  return mounts
}

/** The kernel writes space, tab, newline and backslash as octal, fs/proc_namespace.c. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
