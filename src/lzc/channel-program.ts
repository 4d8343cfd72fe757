import { ArgumentError, type ErrorDetails, ZfsError } from '../errors.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { interruptibly } from './interruptible.js'
import { checkPool } from './names.js'
import { decodeTypedNvlist, encodeNvlist, type NvInput, NvValue, nv } from './nvlist.js'

/** ZCP_DEFAULT_INSTRLIMIT, ZCP_DEFAULT_MEMLIMIT. */
const defaultInstructions = 10_000_000n
const defaultMemory = 10n * 1024n * 1024n

/** libzfs_core reserves that much for the result, whether it is needed or not. */
const mostMemory = 1024n * 1024n * 1024n

/** What a program is given: names to booleans, texts, integers of 64 bits, arrays of either, and such objects in turn. */
export interface ProgramArguments {
  readonly [name: string]: ProgramArgument
}
/** One of the values that a program can be given. Numbers are integers of 64 bits. */
export type ProgramArgument =
  | boolean
  | string
  | number
  | bigint
  | readonly string[]
  | readonly (number | bigint)[]
  | ProgramArguments

/** What a program returns: every number of Lua's is a bigint; a table is an object, an array one with the keys '1', '2', ... */
export type ProgramValue = null | boolean | bigint | string | { [key: string]: ProgramValue }

/** What a channel program is given, and how much it may use. */
export interface ProgramOptions {
  /** What the program finds in its first argument: `args = ...`. */
  arguments?: ProgramArguments
  /** Lua instructions; default 10 million, at most 100 million unless the module was told otherwise. */
  instructionLimit?: bigint
  /** Bytes of memory, and of the result; default 10 MiB, at most 100 MiB unless the module was told otherwise. */
  memoryLimit?: bigint
  /** Ends the program; what it has changed by then stays. */
  signal?: AbortSignal
}

/** A channel program's own failure. */
export class ProgramError extends ZfsError {
  /** Lua's whole message, with its stack traceback; of an error that isn't a text, the traceback alone. */
  readonly lua: string

  constructor(code: string, message: string, details: ErrorDetails, lua: string) {
    super(code, message, details)
    this.lua = lua
  }
}

/**
 * Runs a channel program (zfs-program(8)) in syncing context: all that it does happens at one moment, and nothing else does
 * meanwhile. Root only. Every run is written to the pool's history. lzc_channel_program.
 *
 * @param program Lua source
 * @returns what it returned, undefined for nothing
 * @throws ProgramError `PROGRAM_INVALID` (syntax), `PROGRAM_FAILED` (Lua's error, in `lua`), `PROGRAM_OUT_OF_TIME`,
 *   `PROGRAM_OUT_OF_MEMORY`, `RESULT_TOO_LARGE`; after the last four, what it had done may have stayed done. ZfsError `NOT_FOUND` (no
 *   pool), `PERMISSION_DENIED`; AbortError, TimeoutError by the signal; ArgumentError; NotSupportedError
 */
export async function channelProgram(
  pool: string,
  program: string,
  options: ProgramOptions = {},
): Promise<ProgramValue | undefined> {
  return run(pool, program, true, options)
}

/**
 * As {@link channelProgram}, in open context: faster, and it can change nothing (`zfs.sync` fails). lzc_channel_program_nosync.
 */
export async function channelProgramNosync(
  pool: string,
  program: string,
  options: ProgramOptions = {},
): Promise<ProgramValue | undefined> {
  return run(pool, program, false, options)
}

async function run(
  pool: string,
  program: string,
  sync: boolean,
  options: ProgramOptions,
): Promise<ProgramValue | undefined> {
  checkPool(pool)
  if (typeof program !== 'string' || program.includes('\0')) {
    throw new ArgumentError('A channel program is a text without a zero byte')
  }
  const instructions = checkLimit('instructionLimit', options.instructionLimit ?? defaultInstructions, 2n ** 63n - 1n)
  const memory = checkLimit('memoryLimit', options.memoryLimit ?? defaultMemory, mostMemory)
  const input = encodeNvlist(encodeArguments(options.arguments ?? {}))
  const native = addonWith(sync ? 'lzc_channel_program' : 'lzc_channel_program_nosync')
  const begin = () => native.channelProgram(pool, program, sync, instructions, memory, input)
  const outcome = await interruptibly(native, begin, options.signal, `The channel program on ${pool}`)
  const output = outcome.list === undefined ? {} : decodeTypedNvlist(outcome.list)
  if (outcome.errno !== 0) throw programError(pool, outcome.errno, output.error)
  // The kernel leaves a result out that does not fit, and says so by this alone.
  if (output.N_MORE_ERRORS !== undefined) throw programError(pool, ENOMEM, undefined)
  return output.return === undefined ? undefined : plain(output.return)
}

function checkLimit(name: string, limit: bigint, most: bigint): bigint {
  if (typeof limit === 'bigint' && limit > 0n && limit <= most) return limit
  throw new ArgumentError(`${name} is a bigint from 1n to ${most}n, not ${String(limit)}`)
}

/** Lua's numbers are int64: ZFS takes no other ones but uint64, which it would turn into these. */
function encodeArguments(args: ProgramArguments): NvInput {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, encodeArgument(name, value)]))
}

function encodeArgument(name: string, value: ProgramArgument): NvInput[string] {
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return nv.int64(integer(name, value))
  if (Array.isArray(value)) return encodeArray(name, value)
  if (typeof value === 'object' && value !== null) return nv.list(encodeArguments(value as ProgramArguments))
  throw new ArgumentError(`A channel program can't be given ${JSON.stringify(name)}, a ${typeof value}`)
}

function encodeArray(name: string, values: readonly unknown[]): NvInput[string] {
  if (values.every((each) => typeof each === 'string')) return values as string[]
  return new NvValue(
    'int64Array',
    BigInt64Array.from(values, (each) => integer(name, each)),
  )
}

function integer(name: string, value: unknown): bigint {
  const fits = typeof value === 'bigint' || Number.isSafeInteger(value)
  if (fits && BigInt.asIntN(64, BigInt(value as bigint)) === BigInt(value as bigint)) return BigInt(value as bigint)
  throw new ArgumentError(`${JSON.stringify(name)}: ${String(value)} is not an integer of 64 bits`)
}

/** Lua's nil comes as a name without a value, and its true as a boolean one. */
function plain({ type, value }: NvValue): ProgramValue {
  if (type === 'boolean') return null
  if (type !== 'nvlist') return value as ProgramValue
  const entries = Object.entries(value as Record<string, NvValue>).map(([key, each]) => [key, plain(each)] as const)
  return Object.assign(Object.create(null), Object.fromEntries(entries)) as Record<string, ProgramValue>
}

const partly = 'What it had done by then may have stayed done.'

/** libzfs_core.c, above lzc_channel_program. */
const failures: Readonly<Record<number, { code: string; why: string; next?: string }>> = {
  12: { code: 'RESULT_TOO_LARGE', why: 'its result is larger than its memoryLimit', next: partly },
  28: { code: 'PROGRAM_OUT_OF_MEMORY', why: 'it needed more than its memoryLimit', next: partly },
  44: { code: 'PROGRAM_FAILED', why: 'it failed', next: partly },
  62: { code: 'PROGRAM_OUT_OF_TIME', why: 'it ran for more than its instructionLimit', next: partly },
}
const EINVAL = 22
const ENOMEM = 12

function programError(pool: string, errno: number, output: NvValue | undefined): Error {
  const lua = typeof output?.value === 'string' ? output.value : ''
  const failure = failures[errno] ?? invalid(errno, lua)
  if (failure === undefined) return zfsError('run a channel program', errno, pool)
  const [line = ''] = lua.split('\n')
  const message = `${pool} can't run the channel program: ${failure.why}${line === '' ? '' : `: ${line}`}`
  return new ProgramError(failure.code, message, { errno, dataset: pool, next: failure.next }, lua)
}

function invalid(errno: number, lua: string): { code: string; why: string; next?: string } | undefined {
  if (errno !== EINVAL) return undefined
  if (lua !== '') return { code: 'PROGRAM_INVALID', why: 'it is not valid' }
  return {
    code: 'INVALID_ARGUMENT',
    why: 'a limit is higher than the module allows',
    next: 'See zfs_lua_max_instrlimit and zfs_lua_max_memlimit in zfs(4).',
  }
}
