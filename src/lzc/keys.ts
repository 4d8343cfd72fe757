import { pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { ArgumentError } from '../errors.js'
import { choose } from './choice.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkDataset } from './names.js'
import { encodeNvlist } from './nvlist.js'
import { encodeProperties, type PropertyInput } from './property-values.js'

/** WRAPPING_KEY_LEN, include/sys/zio_crypt.h. */
export const keyBytes = 32
/** MIN_PBKDF2_ITERATIONS, and what zfs(8) takes. */
const minIterations = 100_000n
const defaultIterations = 350_000n

/** dcp_cmd_t, include/sys/dsl_crypt.h. */
const commands = { new: 2, inherit: 3, 'force-new': 4, 'force-inherit': 5 } as const

/**
 * The key that encrypts a dataset's own keys: 32 bytes. Whatever `keyformat` says, libzfs_core takes only these: `raw` is them,
 * `hex` their hexadecimal digits, and of a `passphrase` {@link passphraseKey} makes them. It is copied before the call returns, and the
 * addon wipes its copy when the call is done; wipe yours (`key.fill(0)`) when you like. libzfs_core's own copies, and the kernel's,
 * are theirs. No error and no pool history has a key in it.
 */
export type WrappingKey = Uint8Array

/** Checks a key's size, and gives the very bytes to the addon. */
export function checkKey(key: WrappingKey): Buffer {
  if (!(key instanceof Uint8Array) || key.length !== keyBytes) {
    throw new ArgumentError(`A key is a Buffer of ${keyBytes} bytes`, {
      next: 'Of a passphrase make one with passphraseKey.',
    })
  }
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength)
}

/**
 * Checks what makes a dataset an encryption root: a key, and the properties that tell of it. The kernel would only say EINVAL.
 * @returns the key for the addon, or null where there is none
 */
export function checkEncryption(
  properties: Readonly<Record<string, PropertyInput>>,
  key: WrappingKey | undefined,
): Buffer | null {
  const { keyformat = 'none' } = properties
  if (key === undefined && keyformat !== 'none') {
    throw new ArgumentError(`A dataset with the keyformat ${keyformat} needs its key`)
  }
  if (key === undefined) return null
  if (keyformat === 'none') {
    throw new ArgumentError(
      'A dataset with a key of its own needs the properties encryption, keyformat and keylocation',
    )
  }
  return checkKey(key)
}

/**
 * Loads the key of an encrypted dataset, which must be its own encryption root. Nothing is mounted. lzc_load_key.
 *
 * @param options.checkOnly only say whether the key is the right one, also where it is loaded already
 * @throws ZfsError `WRONG_KEY`, `EXISTS` (it is loaded), `NOT_ENCRYPTION_ROOT`, `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError;
 *   NotSupportedError
 */
export async function loadKey(dataset: string, key: WrappingKey, options: { checkOnly?: boolean } = {}): Promise<void> {
  checkDataset(dataset)
  const bytes = checkKey(key)
  const { errno } = await addonWith('lzc_load_key').loadKey(dataset, options.checkOnly ?? false, bytes)
  if (errno !== 0) throw zfsError('have its key loaded', errno, dataset)
}

/**
 * Unloads the key of an encryption root. Neither it nor what shares its key may be mounted. lzc_unload_key.
 * @throws ZfsError `KEY_NOT_LOADED` (also of what is no encryption root), `BUSY`, `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError
 */
export async function unloadKey(dataset: string): Promise<void> {
  checkDataset(dataset)
  const { errno } = await addonWith('lzc_unload_key').unloadKey(dataset)
  if (errno !== 0) throw zfsError('have its key unloaded', errno, dataset)
}

/**
 * How a key changes. `new`: the dataset gets a key of its own, and becomes an encryption root. `inherit`: it shares the key of the
 * dataset above it. The `force` ones change only who is said to be the root, without encrypting the dataset's keys anew, as after a raw
 * receive; with the wrong one a dataset can't be read any more.
 */
export type KeyChange =
  | {
      command: 'new'
      key: WrappingKey
      /** `keylocation` is needed where it was not an encryption root; for a passphrase, `pbkdf2iters` and `pbkdf2salt`. */
      properties: Readonly<Record<string, PropertyInput>> & { keyformat: 'raw' | 'hex' | 'passphrase' }
    }
  | { command: 'inherit' | 'force-new' | 'force-inherit' }

/**
 * Changes the key that a dataset's own keys are encrypted with. Its data stays encrypted as it is. lzc_change_key.
 * @throws ZfsError `KEY_NOT_LOADED`, `INVALID_ARGUMENT`, `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError; NotSupportedError
 */
export async function changeKey(dataset: string, change: KeyChange): Promise<void> {
  checkDataset(dataset)
  const command = BigInt(choose(commands, change.command, 'A change of a key'))
  const key = change.command === 'new' ? checkKey(change.key) : null
  const properties = change.command === 'new' ? encodeNvlist(encodeProperties(change.properties)) : null
  const { errno } = await addonWith('lzc_change_key').changeKey(dataset, command, properties, key)
  if (errno !== 0) throw zfsError('have its key changed', errno, dataset)
}

/** What a key is made of a passphrase with: the properties `pbkdf2salt` and `pbkdf2iters`. */
export interface PassphraseOptions {
  /** Of an existing dataset the value of its property; a random one for a new key. */
  salt?: bigint
  /** At least 100 000; default 350 000. */
  iterations?: bigint
}

/**
 * Makes the key of a passphrase, as zfs(8) does: PBKDF2 with SHA-1 over the salt as 8 little-endian bytes.
 *
 * @returns the key, and the properties that go with it in {@link create} or {@link changeKey}
 * @throws ArgumentError for a passphrase of fewer than 8 or more than 512 bytes, or too few iterations
 */
export async function passphraseKey(
  passphrase: string,
  options: PassphraseOptions = {},
): Promise<{ key: Buffer; properties: { keyformat: 'passphrase'; pbkdf2salt: bigint; pbkdf2iters: bigint } }> {
  const { salt = randomBytes(8).readBigUInt64LE(), iterations = defaultIterations } = options
  const size = Buffer.byteLength(passphrase)
  if (size < 8 || size > 512) throw new ArgumentError('A passphrase has 8 to 512 bytes')
  if (typeof salt !== 'bigint' || salt < 0n || salt >= 2n ** 64n)
    throw new ArgumentError('A salt is a bigint of 64 bits')
  if (typeof iterations !== 'bigint' || iterations < minIterations || iterations >= 2n ** 31n) {
    throw new ArgumentError(`The iterations are a bigint of at least ${minIterations}`)
  }
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(salt)
  const key = await promisify(pbkdf2)(passphrase, bytes, Number(iterations), keyBytes, 'sha1')
  return { key, properties: { keyformat: 'passphrase', pbkdf2salt: salt, pbkdf2iters: iterations } }
}
