/** Which stage of the way between two hosts is said to bound it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { judgePath, type Load, type PathFigures } from '../../src/replication/measure/judge.js'

const idle: Load = { process: 0.3, machine: 0.2, cores: 8 }
const threadFull: Load = { process: 0.97, machine: 0.2, cores: 8 }
const allFull: Load = { process: 0.5, machine: 0.97, cores: 8 }

const pace = (megabytes: number, milliseconds = 5000) => ({ bytes: BigInt(megabytes * 1e6 * 5), milliseconds })

/** Rates in MB/s. */
function figures(source: number, wire: number, whole: number, loads: Partial<Record<string, Load>> = {}): PathFigures {
  const { sourceHere = idle, wireHere = idle, wireThere = idle, wholeHere = idle, wholeThere = idle } = loads
  return {
    source: { ...pace(source), here: sourceHere },
    wire: { ...pace(wire), here: wireHere, there: wireThere },
    whole: { ...pace(whole), here: wholeHere, there: wholeThere },
  }
}

const cases: [string, PathFigures, string][] = [
  ['the pool gives less than the wire takes', figures(200, 900, 190), 'source pool'],
  ['the pool here keeps all cores busy', figures(200, 900, 190, { sourceHere: allFull }), 'cpu here'],
  ['the wire is slow, and nobody busy', figures(900, 110, 108), 'network'],
  [
    'the wire is slow, and a thread here has a core to itself',
    figures(900, 600, 580, { wireHere: threadFull }),
    'cpu here',
  ],
  ['the wire is slow, and a thread there', figures(900, 600, 580, { wireThere: threadFull }), 'cpu there'],
  ['the wire is slow, and all cores there are busy', figures(900, 600, 580, { wireThere: allFull }), 'cpu there'],
  [
    'the wire is slow, and all cores here are busy',
    figures(900, 600, 580, { wireHere: allFull, wireThere: { ...idle, process: 0.6 } }),
    'cpu here',
  ],
  ['both alone are faster than the whole', figures(900, 800, 300), 'destination pool'],
  ['both alone are faster, and there all cores are busy', figures(900, 800, 300, { wholeThere: allFull }), 'cpu there'],
  ['both alone are faster, and here all cores are busy', figures(900, 800, 300, { wholeHere: allFull }), 'cpu here'],
]

for (const [name, given, bottleneck] of cases) {
  test(name, () => {
    const verdict = judgePath(given)
    assert.is(verdict.bottleneck, bottleneck)
    assert.match(verdict.why, /\.$/)
  })
}

test('too little says nothing', () => {
  const { source, wire, whole } = figures(200, 900, 190)
  assert.is(judgePath({ source, wire, whole: { ...whole, milliseconds: 30 } }).bottleneck, 'nothing')
  assert.is(judgePath({ source, wire: { ...wire, bytes: 0n }, whole }).bottleneck, 'nothing')
})

test.run()
