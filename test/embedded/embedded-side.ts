/** The embedded engine as a side: driven at its C functions in a process of its own, or by the SDK in this one. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import type { Engine } from './engine.js'
import { ResumeToken } from './resume-token.js'
import * as sdk from './sdk.js'
import { type Content, key, placeOf, type Receiving, type Sending, type Side, volumeBytes } from './side.js'

const STREAM_TRUNCATED = 1040
const mebibyte = 1024 * 1024
const aes256gcm = 8
const rawKey = 1
const lz4 = 15

export class DriverSide implements Side {
  readonly pool = 'emb'
  /** Where the engine, another user's process, reads and writes. */
  readonly #input: string
  readonly #output: string

  constructor(
    private readonly engine: Engine,
    directory: string,
  ) {
    this.#input = join(directory, 'input')
    this.#output = join(directory, 'output')
  }

  canChange({ kind }: Content): boolean {
    return kind === 'volume'
  }

  async create(dataset: string, { kind, encrypted }: Content): Promise<void> {
    const secret = [`encryption:=${aes256gcm}`, `keyformat:=${rawKey}`, 'keylocation=prompt']
    const size = [`volsize:=${volumeBytes}`, 'volblocksize:=16384']
    const properties = [`compression:=${lz4}`, ...(encrypted ? secret : []), ...(kind === 'volume' ? size : [])]
    await this.engine.do('create', dataset, kind, encrypted ? key : '-', ...properties)
  }

  async change(dataset: string, _content: Content, number: number): Promise<void> {
    await this.engine.do('write', dataset, placeOf(number) * mebibyte, 2 * mebibyte, number + 1)
  }

  async sum(dataset: string, { kind }: Content): Promise<string | undefined> {
    if (kind === 'filesystem') return undefined
    await this.engine.do('dump', dataset, this.#output)
    return createHash('sha256')
      .update(await readFile(this.#output))
      .digest('hex')
  }

  async loadKey(dataset: string): Promise<void> {
    await this.engine.do('load-key', dataset, key)
  }

  async snapshot(name: string): Promise<void> {
    await this.engine.do('snapshot', name)
  }

  async bookmark(name: string, snapshot: string): Promise<void> {
    await this.engine.do('bookmark', name, snapshot)
  }

  async clone(name: string, snapshot: string): Promise<void> {
    await this.engine.do('clone', name, snapshot)
  }

  async send(snapshot: string, { flags, from = '-', token }: Sending): Promise<Buffer> {
    const position = token === undefined ? [] : [new ResumeToken(token).object, new ResumeToken(token).offset]
    await this.engine.do('send', snapshot, from, flags, this.#output, ...position)
    return readFile(this.#output)
  }

  async receive(snapshot: string, stream: Buffer, { origin = '-', cut = false }: Receiving = {}): Promise<void> {
    await writeFile(this.#input, stream)
    const { errno, text } = await this.engine.ask('receive', snapshot, this.#input, '-', 'resumable', '-', '-', origin)
    assert.is(errno, cut ? STREAM_TRUNCATED : 0, `receiving ${snapshot}: ${text}`)
  }

  async token(dataset: string): Promise<string> {
    return JSON.parse(await this.engine.do('stats', dataset)).receive_resume_token.value
  }
}

/** Keys can't be loaded through the SDK: what was received raw is kept and given back as it is. */
export class SdkEmbeddedSide implements Side {
  readonly pool = 'emb'

  canChange({ kind, encrypted }: Content): boolean {
    return kind === 'volume' && !encrypted
  }

  async create(dataset: string, { kind }: Content): Promise<void> {
    const size = { volsize: volumeBytes, volblocksize: '16K' }
    await lzc.create(dataset, { type: kind, properties: { compression: 'lz4', ...(kind === 'volume' ? size : {}) } })
  }

  async change(dataset: string, _content: Content, number: number): Promise<void> {
    const text = Buffer.alloc(mebibyte, `${number} is written here\n`)
    await lzc.writeVolume(dataset, BigInt(placeOf(number) * mebibyte), Buffer.concat([randomBytes(mebibyte), text]))
  }

  async sum(dataset: string, content: Content): Promise<string | undefined> {
    if (!this.canChange(content)) return undefined
    return createHash('sha256')
      .update(await lzc.readVolume(dataset, 0n, volumeBytes))
      .digest('hex')
  }

  async loadKey(): Promise<void> {
    // Nothing that is looked into needs it.
  }

  async snapshot(name: string): Promise<void> {
    await lzc.snapshot(name)
  }

  async bookmark(name: string, snapshot: string): Promise<void> {
    await lzc.bookmark({ [name]: snapshot })
  }

  async clone(name: string, snapshot: string): Promise<void> {
    await lzc.clone(snapshot, name)
  }

  async send(snapshot: string, sending: Sending): Promise<Buffer> {
    return sdk.send(snapshot, sending)
  }

  async receive(snapshot: string, stream: Buffer, receiving: Receiving = {}): Promise<void> {
    await sdk.receive(snapshot, stream, receiving)
  }

  async token(dataset: string): Promise<string> {
    return sdk.token(dataset)
  }
}
