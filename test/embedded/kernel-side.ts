/** A lab host's kernel as a side: driven by the zfs command, or by the SDK. */
import type { Host, LabProcess } from '../lab/index.js'
import { sh, treeSum, volumeSum, withDevice } from './content.js'
import { type Content, key, placeOf, type Receiving, type Sending, type Side, volumeBytes } from './side.js'

const sendLetters = ['e', 'L', 'c', 'w']
const program = 'test/embedded/guest/sdk.ts'
const streamFile = '/tmp/stream'
const answerMilliseconds = 120_000

export class KernelSide implements Side {
  readonly pool: string

  constructor(protected readonly host: Host) {
    this.pool = host.pool
  }

  /** A side whose volumes have no device until it is looked at, and whose files can be read without changing anything. */
  static async prepare(host: Host): Promise<void> {
    await host.run(['zpool', 'create', '-O', 'volmode=none', '-O', 'atime=off', host.pool, ...host.disks])
  }

  canChange(): boolean {
    return true
  }

  async create(dataset: string, { kind, encrypted }: Content): Promise<void> {
    const options = [encrypted ? '-o encryption=aes-256-gcm -o keyformat=raw' : '', kind === 'volume' ? volume : '']
    await sh(this.host, `printf %s ${key} | zfs create -o compression=lz4 ${options.join(' ')} "$1"`, dataset)
  }

  async change(dataset: string, { kind }: Content, number: number): Promise<void> {
    if (kind === 'volume') {
      const script = `dd if=/dev/urandom bs=1M count=1 of="$1" seek=${placeOf(number)} conv=fsync status=none
        seq ${number} 140000 | head -c 1M | dd bs=1M of="$1" seek=${placeOf(number) + 1} iflag=fullblock conv=fsync status=none`
      await withDevice(this.host, dataset, script)
      return
    }
    const script = `[ "$(zfs get -Ho value mounted "$1")" = yes ] || zfs mount "$1"
      cd "/$1"; rm -f link; ln -s numbers-${number} link; seq ${number} 140000 > numbers-${number}
      head -c 1M /dev/urandom > random-${number}; head -c 60 /dev/urandom > small; mkdir sub-${number}; touch sub-${number}/empty`
    await sh(this.host, script, dataset)
  }

  async sum(dataset: string, { kind }: Content): Promise<string> {
    return kind === 'volume' ? volumeSum(this.host, dataset) : treeSum(this.host, dataset)
  }

  async loadKey(dataset: string): Promise<void> {
    await sh(this.host, `printf %s ${key} | zfs load-key "$1"`, dataset)
  }

  async snapshot(name: string): Promise<void> {
    await this.host.run(['zfs', 'snapshot', name])
  }

  async bookmark(name: string, snapshot: string): Promise<void> {
    await this.host.run(['zfs', 'bookmark', snapshot, name])
  }

  async clone(name: string, snapshot: string): Promise<void> {
    await this.host.run(['zfs', 'clone', snapshot, name])
  }

  async send(snapshot: string, { flags, from, token }: Sending): Promise<Buffer> {
    const letters = sendLetters.filter((_, bit) => flags & (1 << bit)).map((letter) => `-${letter}`)
    const options =
      token === undefined ? [...letters, ...(from === undefined ? [] : ['-i', from]), snapshot] : ['-t', token]
    return (await this.host.run(['zfs', 'send', ...options])).stdoutBytes
  }

  async receive(snapshot: string, input: Buffer, { origin, cut = false }: Receiving = {}): Promise<void> {
    const options = origin === undefined ? [] : ['-o', `origin=${origin}`]
    const argv = ['zfs', 'receive', '-su', ...options, snapshot]
    const { status, stderr } = await this.host.run(argv, { input, check: false })
    if ((status !== 0) !== cut) throw new Error(`zfs receive ${snapshot} ended with ${status}: ${stderr}`)
  }

  async token(dataset: string): Promise<string> {
    return sh(this.host, 'zfs get -Hpo value receive_resume_token "$1"', dataset)
  }
}

const volume = `-s -V ${volumeBytes}`

/** The same, with this package in place of the zfs command. */
export class SdkKernelSide extends KernelSide {
  private constructor(
    host: Host,
    private readonly program: LabProcess,
  ) {
    super(host)
  }

  /** It ends with its host. */
  static start(host: Host): SdkKernelSide {
    return new SdkKernelSide(host, host.spawnEntry(program, [streamFile]))
  }

  override async snapshot(name: string): Promise<void> {
    await this.#ask('snapshot', name)
  }

  override async bookmark(name: string, snapshot: string): Promise<void> {
    await this.#ask('bookmark', name, snapshot)
  }

  override async clone(name: string, snapshot: string): Promise<void> {
    await this.#ask('clone', name, snapshot)
  }

  override async send(snapshot: string, sending: Sending): Promise<Buffer> {
    await this.#ask('send', snapshot, sending)
    return this.host.readFile(streamFile)
  }

  override async receive(snapshot: string, stream: Buffer, receiving: Receiving = {}): Promise<void> {
    await this.host.writeFile(streamFile, stream)
    await this.#ask('receive', snapshot, receiving)
  }

  override async token(dataset: string): Promise<string> {
    return this.#ask('token', dataset)
  }

  async #ask(...words: unknown[]): Promise<string> {
    this.program.stdin.write(`${JSON.stringify(words)}\n`)
    const line = await this.program.nextLine(answerMilliseconds)
    const { text, error } = JSON.parse(line ?? '{"error":"the program ended"}') as { text?: string; error?: string }
    if (text === undefined) throw new Error(`${words[0]} ${words[1]}: ${error}`)
    return text
  }
}
