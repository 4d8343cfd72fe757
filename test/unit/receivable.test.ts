import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NotSupportedError } from '../../src/errors.js'
import type { BeginRecord } from '../../src/lzc/index.js'
import { checkReceivable } from '../../src/replication/stream-support.js'

const enabled = Object.fromEntries(
  ['lz4_compress', 'embedded_data', 'large_blocks', 'longname', 'encryption'].map((name) => [name, 'enabled']),
)

/** Why a stream with these features is refused; empty where it isn't. */
function refusal(features: string[], version: string, pool: Record<string, unknown> = enabled): string {
  try {
    const begin = { features } as unknown as BeginRecord
    checkReceivable(begin, { dataset: 'tank/flocker/a', version, features: pool })
    return ''
  } catch (error) {
    assert.instance(error, NotSupportedError)
    return (error as NotSupportedError).message
  }
}

test('what the receiving OpenZFS or its pool lacks, a stream must not have', () => {
  assert.is(refusal(['sa_spill', 'lz4', 'large_blocks', 'compressed', 'raw', 'resuming', 'longname'], '2.4.4'), '')
  assert.match(refusal(['longname'], '2.1.11'), /longname, which OpenZFS has since 2\.3; this host runs 2\.1\.11/)
  assert.match(refusal(['from the future'], '2.4.4'), /uses the feature from the future; this host runs 2\.4\.4/)
  assert.match(refusal(['zstd'], '2.4.4'), /zstd_compress is disabled in the pool tank/)
  assert.match(refusal(['raw'], '2.4.4', {}), /encryption is disabled/)
})

test.run()
