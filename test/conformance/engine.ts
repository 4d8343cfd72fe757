/**
 * The conformance suite: what src/lzc and src/datasets do, asserted by codes, GUIDs and content, on the kernel's OpenZFS and on
 * the embedded engine alike. Each file `*.test.ts` here calls {@link conformance}; test/run.ts runs it in a lab host of each
 * profile and on the embedded engine of each release. differences.ts alone says where the engines differ.
 */
import { suite as newSuite } from 'uvu'
import * as assert from 'uvu/assert'
import { defaultEngine, type Engine } from '../../src/lzc/index.js'
import { failure, pool } from '../zfs/pool.js'
import { notSupported } from './differences.js'
import { EmbeddedEngine } from './embedded-engine.js'
import { KernelEngine } from './kernel-engine.js'

/** What an OpenZFS does for the suites besides what is tested: the bytes behind the volumes, and what the SDK can't make. */
export interface EngineUnderTest {
  readonly kind: Engine
  open(): Promise<void>
  /** Gives the pool back, which nothing may be using any more. */
  close(): Promise<void>
  /** Writes into a volume, and to disk. */
  write(volume: string, offset: number, bytes: Buffer): Promise<void>
  /** All bytes of a volume. */
  read(volume: string): Promise<Buffer>
  /** Raw streams of an encrypted volume whose key is nowhere: of its first snapshot, and of its second from that. */
  encryptedStreams(): Promise<{ full: Buffer; increment: Buffer }>
}

export type Test = (title: string, body: () => Promise<void>) => void

/**
 * Runs a suite on the engine of this process, with a pool to itself.
 *
 * @param name the suite's, as in differences.ts
 * @param define defines its tests
 */
export function conformance(name: string, define: (test: Test, engine: EngineUnderTest) => void): void {
  const engine = defaultEngine() === 'embedded' ? new EmbeddedEngine(pool) : new KernelEngine(pool)
  const listed = new Set(notSupported[engine.kind][name])
  const suite = newSuite(name)
  suite('the pool opens', () => engine.open())
  define((title, body) => {
    suite(title, listed.delete(title) ? () => isNotSupported(body) : body)
  }, engine)
  if (listed.size > 0) throw new Error(`${name} has no test ${[...listed].join(', ')}, which differences.ts lists`)
  suite('the pool closes: nothing is left in use', () => engine.close())
  suite.run()
}

async function isNotSupported(body: () => Promise<void>): Promise<void> {
  assert.is((await failure(body())).code, 'NOT_SUPPORTED')
}
