import type { Readable, Writable } from 'node:stream'

/** How a command is run. */
export interface SpawnOptions {
  /** Environment variables over the default ones (PATH, HOME, LANG). */
  env?: Record<string, string>
  /** Absolute; default `/`. */
  cwd?: string
  /** uid (and gid) to run as; default 0. */
  user?: number
  /** Kills the command's process group when it fires. */
  signal?: AbortSignal
  /** Kills the command's process group with SIGKILL after so long. {@link Host.run} has a default of 120 s, {@link Host.spawn} none. */
  timeoutMilliseconds?: number
  /** Runs it on a terminal of its own, of that size; there is no standard error then. */
  terminal?: { rows: number; columns: number }
}

export interface RunOptions extends Omit<SpawnOptions, 'terminal'> {
  /** What the command finds on its standard input; nothing by default. */
  input?: string | Uint8Array
  /** `false`: a failing command is a result, not an error. */
  check?: boolean
}

export interface ExitStatus {
  /** The exit status, or `null` where a signal ended the command. */
  status: number | null
  signal: NodeJS.Signals | null
}

export interface RunResult extends ExitStatus {
  /** All that the command wrote until it ended, as UTF-8. */
  stdout: string
  stderr: string
  /** The same as bytes. */
  stdoutBytes: Buffer
}

/** A command that runs in a host. Its process group is that of the command alone. */
export interface LabProcess {
  /** Waits for space at the command's end, like every Writable. End it, or the command waits for more. About 1 MiB/s. */
  readonly stdin: Writable
  /**
   * Like a pipe: what is not read makes the command wait. It may go on after {@link exit}, where children hold it open. It
   * ends when the host does; {@link exit} says why.
   */
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * Settles when the command has ended and all its own output has been handed over. Rejects with a `LabError` if its host goes
   * first, with a `TimeoutError` or `AbortError` where its deadline or signal ended it.
   */
  readonly exit: Promise<ExitStatus>
  /** Resolves to the process id in the host once the command runs; rejects like {@link exit} when it can't be started. */
  readonly started: Promise<number>
  /**
   * The next line of standard output, without its end; `null` after the last. Don't read `stdout` otherwise then.
   * @param timeoutMilliseconds default 30 s; a `TimeoutError` after it
   */
  nextLine(timeoutMilliseconds?: number): Promise<string | null>
  /** Sends a signal to its process group; default SIGTERM. */
  kill(signal?: NodeJS.Signals): void
  /** Tells the terminal its new size. */
  resize(rows: number, columns: number): void
}

/** A host with ZFS. */
export interface Host {
  readonly name: string
  /** IPv4; the other hosts of the lab reach it there. */
  readonly address: string
  /** What `zpool create` takes. */
  readonly disks: readonly string[]
  /** A name for the host's pool that no other pool has: `tank`, unless hosts share a kernel. */
  readonly pool: string
  /** Milliseconds that the last boot took. */
  readonly bootMilliseconds: number
  /**
   * Runs a command to its end.
   * @param argv the program (found in PATH) and its arguments; no shell is involved
   * @throws LabCommandError where it fails, unless `check` is false; TimeoutError and AbortError, with what it wrote until then as
   *   `stdout` and `stderr`; LabError
   */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Runs a TypeScript source of this checkout, compiled, with this Node.js. `entry` is relative to the checkout. */
  runEntry(entry: string, args?: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Starts a command and leaves it running. It ends with its host at the latest. */
  spawn(argv: readonly string[], options?: SpawnOptions): LabProcess
  /** {@link spawn} for a TypeScript source, see {@link runEntry}. */
  spawnEntry(entry: string, args?: readonly string[], options?: SpawnOptions): LabProcess
  writeFile(path: string, data: string | Uint8Array): Promise<void>
  readFile(path: string): Promise<Buffer>
  /** Imports all pools that the host's disks hold, as after a power cut. */
  importPools(): Promise<void>
  /** Ends the host at once: nothing is flushed, its disks keep what was written. What runs in it rejects with `HOST_OFF`. */
  cutPower(): Promise<void>
  /** Starts the host again on the same disks. Its root file system is new. */
  boot(options?: { signal?: AbortSignal; timeoutMilliseconds?: number }): Promise<void>
}

export interface LaneStats {
  frames: number
  bytes: number
  dropped: number
  garbled: number
}

/** The cable between a host and the switch. Faults hold for both directions and add up. */
export interface Link {
  /** Nothing passes any more, in silence; what is under way is lost. */
  cut(): Promise<void>
  /** Ends {@link cut}; the other faults stay. */
  restore(): Promise<void>
  /** @param milliseconds added in each direction, so a round trip takes twice as much longer */
  delay(milliseconds: number): Promise<void>
  /** @param bytesPerSecond in each direction; at most 250 ms worth of frames wait, the others are dropped as by a real port; 0: no limit */
  throttle(bytesPerSecond: number): Promise<void>
  /**
   * Damages bytes of TCP and UDP payloads and corrects the checksum, so that the damage reaches the application.
   * @param probability of each frame to be hit, in each direction, 0 to 1
   */
  garble(probability: number): Promise<void>
  /** Ends all faults. */
  clear(): Promise<void>
  /** What passed since the lab was opened, as seen from the host. */
  stats(): Promise<{ sent: LaneStats; received: LaneStats }>
}
