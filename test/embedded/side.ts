/** The two ends of an exchange of streams, whichever OpenZFS they are and whatever drives it. */

/** A raw stream's bit among lzc_send's flags (LZC_SEND_FLAG_*). */
export const rawBit = 8

export interface Sending {
  /** lzc_send's flags: 1 embedded data, 2 large blocks, 4 compressed, 8 raw. */
  flags: number
  /** Full name of a snapshot or a bookmark. */
  from?: string
  /** What a receive on the other side has left. */
  token?: string
}

export interface Receiving {
  origin?: string
  /** The stream breaks off, and what has arrived of it is to be kept. */
  cut?: boolean
}

export interface Content {
  kind: 'filesystem' | 'volume'
  encrypted: boolean
}

/** One OpenZFS with a pool. Names are full names. */
export interface Side {
  readonly pool: string
  /** Whether this side can write such a dataset, its key being loaded. */
  canChange(content: Content): boolean
  create(dataset: string, content: Content): Promise<void>
  /** Changes two MiB, for each number others. */
  change(dataset: string, content: Content, number: number): Promise<void>
  /** SHA-256 of the content, its key being loaded; `undefined` where this side can't look into it. */
  sum(dataset: string, content: Content): Promise<string | undefined>
  /** Loads the key of a dataset that was received raw, where this side can. */
  loadKey(dataset: string): Promise<void>
  snapshot(name: string): Promise<void>
  bookmark(name: string, snapshot: string): Promise<void>
  clone(name: string, snapshot: string): Promise<void>
  send(snapshot: string, sending: Sending): Promise<Buffer>
  receive(snapshot: string, stream: Buffer, receiving?: Receiving): Promise<void>
  /** The resume token of a dataset. */
  token(dataset: string): Promise<string>
}

export const key = '0123456789abcdef0123456789abcdef'
const mebibyte = 1024 * 1024
export const volumeBytes = 16 * mebibyte

/** Where in a volume {@link Side.change} writes, in MiB. */
export const placeOf = (number: number): number => ((number * 3) % 7) * 2

export const datasetOf = (name: string): string => name.split(/[@#]/, 1)[0] as string

export const contents: readonly Content[] = [
  { kind: 'filesystem', encrypted: false },
  { kind: 'volume', encrypted: false },
  { kind: 'filesystem', encrypted: true },
  { kind: 'volume', encrypted: true },
]
export const described = ({ kind, encrypted }: Content): string => `${encrypted ? 'a raw encrypted' : 'a'} ${kind}`
