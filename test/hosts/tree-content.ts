/** A tree with one of everything that ZFS keeps in a stream, and what it is turned into. */
import { sh, treeSum, volumeSum, withDevice } from '../embedded/content.js'
import type { Host, ProfileName } from '../lab/index.js'

export const key = '0123456789abcdef0123456789abcdef'

/** Where a tree's filesystems are mounted: side by side, so that none has another in it. */
const places = '/srv/tree'

interface Kind {
  name: string
  /** Options of `zfs create`; a size makes it a volume. */
  options: string
}

const raw = '-o encryption=aes-256-gcm -o keyformat=raw -o compression=lz4'

/** The largest records that a release makes without being told so by a module parameter. */
const largest: Record<ProfileName, string> = { newest: '16M', oldest: '1M' }

const kindsOf = (profile: ProfileName): Kind[] => [
  { name: '', options: '' },
  { name: 'files', options: '-o compression=lz4 -o xattr=sa -o dnodesize=auto -o quota=512M -o refreservation=1M' },
  { name: 'files/deep', options: '-o compression=zstd-19 -o recordsize=1M' },
  { name: 'files/deep/huge', options: `-o recordsize=${largest[profile]} -o xattr=on` },
  { name: 'secret', options: raw },
  { name: 'secret/disk', options: '-s -V 16M -o volblocksize=16K' },
  { name: 'disk', options: '-s -V 32M -o volblocksize=8K -o compression=lz4' },
]

export const first = {
  filesystems: ['', 'files', 'files/deep', 'files/deep/huge', 'secret', 'copy'],
  volumes: ['disk', 'secret/disk'],
}
export const second = {
  filesystems: ['', 'files', 'moved', 'moved/huge', 'secret', 'copy', 'second', 'late'],
  volumes: ['disk', 'secret/disk'],
}
export const secrets = ['secret', 'secret/disk']

const below = (tree: string, name: string): string => (name === '' ? tree : `${tree}/${name}`)
const placeOf = (name: string): string => `${places}/${name === '' ? 'root' : name.replaceAll('/', '-')}`

export async function create(host: Host, tree: string, profile: ProfileName): Promise<void> {
  for (const { name, options } of kindsOf(profile)) {
    const volume = options.includes('-V')
    const mount = volume ? '' : `-o mountpoint=${placeOf(name)}`
    await sh(host, `printf %s ${key} | zfs create -p ${options} ${mount} "$1"`, below(tree, name))
    if (volume) await withDevice(host, below(tree, name), beginVolume)
    else await sh(host, beginFilesystem, placeOf(name))
  }
  const clone = `zfs snapshot "$1/files@origin"; zfs clone -o mountpoint=${placeOf('copy')} "$1/files@origin" "$1/copy"`
  await sh(host, `${clone}; date > ${placeOf('copy')}/own; rm ${placeOf('copy')}/first/small-1*`, tree)
}

const beginVolume = `
  dd if=/dev/urandom of="$1" bs=1M count=6 conv=fsync status=none
  seq 200000 | dd of="$1" bs=1M seek=9 conv=fsync status=none
  yes | dd of="$1" bs=1M seek=15 count=1 iflag=fullblock conv=fsync status=none`

/** Also: holes, what fits into a block pointer, links, attributes that fit into a dnode and such that don't, be they compressible. */
const beginFilesystem = `
  mkdir "$1/first"; cd "$1/first"
  head -c 3000000 /dev/urandom > random; seq 60000 > numbers
  truncate -s 8M hole; printf here | dd of=hole bs=1 seek=5000000 conv=notrunc status=none
  for i in $(seq 40); do printf "%0400d" $i > small-$i; done
  ln -s random link; ln random hard; mkfifo fifo; chmod 640 random; chown 12:34 numbers; echo > "$(printf 'a\\tb \\303\\274')"
  python3 -c 'import os; os.setxattr("numbers", "user.note", b"first"); os.setxattr("random", "user.long", b"x" * 9000); os.setxattr("small-9", "user.long", os.urandom(9000))'`

/** Overwrites, cuts, grows and removes; then makes of the tree itself something else, with a snapshot in between. */
export async function change(host: Host, tree: string): Promise<void> {
  for (const name of first.filesystems) await sh(host, changeFilesystem, placeOf(name))
  for (const name of first.volumes) await withDevice(host, below(tree, name), changeVolume)
  await sh(
    host,
    `zfs snapshot -r "$1@daily"; zfs clone -o mountpoint=${placeOf('second')} "$1/files@daily" "$1/second"
    zfs rename "$1/files/deep" "$1/moved"; zfs create -o mountpoint=${placeOf('late')} -o compression=zstd "$1/late"
    rm -r ${placeOf('files')}/second; date > ${placeOf('second')}/own; seq 100000 > ${placeOf('late')}/numbers`,
    tree,
  )
}

const changeVolume = `
  dd if=/dev/urandom of="$1" bs=1M count=1 seek=2 conv=notrunc,fsync status=none
  blkdiscard -o 4194304 -l 1048576 "$1"
  seq 300000 | dd of="$1" bs=1M seek=12 conv=notrunc,fsync status=none`

const changeFilesystem = `
  cd "$1/first"
  dd if=/dev/urandom of=random bs=1000 seek=500 count=700 conv=notrunc status=none
  fallocate -p -o 1572864 -l 1048576 random; truncate -s 200000 numbers; printf more >> hole; rm -f small-2*
  mv small-3 renamed; mkdir ../second; head -c 500000 /dev/urandom > ../second/random
  python3 -c 'import os; os.removexattr("numbers", "user.note"); os.setxattr("random", "user.long", b"y" * 9000)'`

export async function loadKeys(host: Host, tree: string): Promise<void> {
  // Each replica of an encrypted dataset is an encryption root of its own.
  for (const name of secrets) await sh(host, `printf %s ${key} | zfs load-key "$1"`, below(tree, name))
}

export async function unloadKeys(host: Host, tree: string): Promise<void> {
  for (const name of secrets) await sh(host, 'zfs unload-key "$1"', below(tree, name))
}

/** What is in a tree, by name below its root. */
export async function sums(host: Host, tree: string, names: typeof first): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of names.filesystems) found[name] = await treeSum(host, below(tree, name))
  for (const name of names.volumes) found[name] = await volumeSum(host, below(tree, name))
  return found
}
