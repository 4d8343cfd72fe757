import type { Host } from '../../test/lab/index.js'

/** A push leaves a hold on what the next one starts from. */
const script = `set -e
zfs list "$1" > /dev/null 2>&1 || exit 0
zfs list -Hrt snapshot -o name "$1" | xargs -r zfs holds -H | while read -r snapshot tag _; do zfs release "$tag" "$snapshot"; done
zfs destroy -r "$1"`

/** Destroys a dataset with all that is below it, if it is there, whoever holds it. */
export async function destroy(host: Host, dataset: string): Promise<void> {
  await host.run(['bash', '-c', script, 'destroy', dataset])
}
