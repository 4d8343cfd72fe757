/** One way to move a stream from a pipe to a pipe. */

/** A program, as it is started. */
export interface Part {
  argv: string[]
  environment?: Record<string, string>
}

/** One that runs before the transfer and is ended after it. */
export interface Daemon extends Part {
  /** The port on which it listens when it is ready. */
  port: number
}

export interface Setup {
  daemons: { sender: Daemon[]; receiver: Daemon[] }
  /** Its standard output is a pipe to `cat`. Where the receiver is a daemon that starts a program for the stream, there is none. */
  receiver?: Daemon | undefined
  /** Its standard input is a pipe from `cat`. */
  sender: Part
  /** A report of what is not the receiver's, and was run by it. */
  discount?: string
}

/** What a contender may use for one transfer: everything in a directory of its own. */
export interface Place {
  directory: string
  /** With ca.pem, host.pem and host.key. */
  credentials: { sender: string; receiver: string }
  /** The program that measures others. */
  measure: string
  /** A port that nobody has. */
  port(): Promise<number>
}

export interface Wire {
  label: string
  missing?: string | undefined
  prepare(place: Place): Promise<Setup>
}
