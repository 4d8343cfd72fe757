/** What is in a kernel's datasets, as hashes. */
import type { Host } from '../lab/index.js'

export async function sh(host: Host, script: string, ...args: string[]): Promise<string> {
  return (await host.run(['sh', '-ec', script, 'sh', ...args])).stdout.trim()
}

/** Runs a script with the volume's device as `$1`. It must be the host's only volume that has one. */
export async function withDevice(host: Host, volume: string, script: string): Promise<string> {
  const wait = (until: string): string => `for i in $(seq 200); do ${until} && break; sleep .05; done`
  await sh(host, `zfs set volmode=dev "$1"; ${wait('[ -b /dev/zd0 ]')}`, volume)
  const output = await sh(host, script, '/dev/zd0')
  await sh(host, `zfs set volmode=none "$1"; ${wait('! [ -b /dev/zd0 ]')}`, volume)
  return output
}

/** SHA-256 of a volume's bytes. */
export async function volumeSum(host: Host, volume: string): Promise<string> {
  return (await withDevice(host, volume, 'sha256sum < "$1"')).split(' ')[0] ?? ''
}

/** SHA-256 of a filesystem: names, kinds, modes, owners, times, links, extended attributes, content. */
export async function treeSum(host: Host, filesystem: string): Promise<string> {
  const script = `
    mounted=$(zfs get -Ho value mounted "$1")
    [ "$mounted" = yes ] || zfs mount "$1"
    tar -C "$(zfs get -Ho value mountpoint "$1")" --sort=name --xattrs --xattrs-include='*' \\
      --pax-option=delete=atime,delete=ctime -cf - . | sha256sum
    [ "$mounted" = yes ] || zfs unmount "$1"`
  return (await sh(host, script, filesystem)).split(' ')[0] ?? ''
}
