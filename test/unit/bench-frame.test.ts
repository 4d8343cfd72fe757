import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { render } from '../../bench/frame/markdown.js'
import { format } from '../../bench/frame/numbers.js'
import { type Result, type Row, resultSchema, type Section } from '../../bench/frame/result.js'
import { interleave } from '../../bench/frame/rounds.js'
import { judge, ratios, spread } from '../../bench/frame/statistics.js'

const throughput = { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const }
const context = { quick: true, say: () => undefined }

const row = (label: string, ...values: number[]): Row => ({
  label,
  samples: values.map((value) => ({ throughput: value })),
})

const result = (...sections: Partial<Section>[]): Result =>
  resultSchema.parse({
    ...{ name: 'wire', title: 'A & B', quick: false, seconds: 3 },
    environment: {
      ...{ cpu: 'CPU', cores: 2, memoryBytes: 1024 ** 3, kernel: '6.1', versions: { socat: '1.7' } },
      ...{ commit: 'abc', date: '2026-01-01T00:00:00.000Z', load: 0.5 },
    },
    sections: sections.map((section) => ({
      ...{ title: 'Moved', about: 'How.', measures: [throughput], rows: [], ...section },
    })),
  })

test('medians, extremes, and ratios round by round', () => {
  assert.is(spread([]), undefined)
  assert.equal(spread([3]), { median: 3, minimum: 3, maximum: 3 })
  assert.equal(spread([4, 1, 10, 2]), { median: 3, minimum: 1, maximum: 10 })
  assert.equal(ratios(row('a', 10, 30, 5), row('b', 5, 10), 'throughput'), [2, 3])
  assert.equal(ratios(row('a', 10), row('b', 0), 'throughput'), [])
})

test('ahead and behind where every round says so', () => {
  assert.is(judge({ median: 2, minimum: 1.1, maximum: 3 }, 'more'), 'ahead')
  assert.is(judge({ median: 2, minimum: 1.1, maximum: 3 }, 'less'), 'behind')
  assert.is(judge({ median: 0.5, minimum: 0.4, maximum: 0.9 }, 'less'), 'ahead')
  assert.is(judge({ median: 0.5, minimum: 0.4, maximum: 1.1 }, 'more'), 'even')
})

test('numbers', () => {
  assert.equal([0, 7, 1234567, 1234.56, 12.345, 0.012345].map(format), [
    '0',
    '7',
    '1,234,567',
    '1,235',
    '12.3',
    '0.0123',
  ])
})

test('a page tells of losses, of what is missing and of limits that are broken', () => {
  const rows = [row('ours', 10, 12), row('fast | plain', 20, 20), { ...row('gone'), missing: 'no such tool' }]
  const files = render([result({ ours: 'ours', measures: [{ ...throughput, limit: 11 }], rows })])
  const page = files.get('RESULTS.md') as string
  assert.match(page, '| fast \\| plain | 20 | 0.55 (0.50–0.60), behind |')
  assert.match(page, '| ours | 11 (10–12) |  |')
  assert.match(page, '| gone | *no such tool* |  |')
  assert.match(page, '**throughput: at least 11 MB/s**: does not hold for ours.')
  assert.match(page, 'ours, throughput: 10, 12 MB/s')
  assert.match(page, '![Moved: throughput](results/wire-1-1.svg)')
})

test('goals hold, do not hold, or were not measured', () => {
  const rows = [row('ours', 30, 30, 10), row('theirs', 20, 20, 20)]
  const goals = [
    { measure: 'throughput', to: 'theirs', atLeast: 1.4 },
    { measure: 'throughput', to: 'theirs', atMost: 1.2 },
    { measure: 'throughput', to: 'nobody', atLeast: 1 },
  ]
  const page = render([result({ ours: 'ours', rows, goals })]).get('RESULTS.md') as string
  assert.match(page, '- throughput, ours to theirs: at least 1.40 wanted, 1.50 found: **holds**')
  assert.match(page, 'at most 1.20 wanted, 1.50 found: **does not hold**')
  assert.match(page, '- throughput, ours to nobody: at least 1 wanted, **not measured**')
})

test('the same results make the same files, and what is without samples has no plot', () => {
  const results = [result({ rows: [row('a <b>', 1, 2)] }, { rows: [] })]
  const files = render(results)
  assert.equal([...files.keys()], ['results/wire-1-1.svg', 'RESULTS.md'])
  assert.equal(files, render(results))
  const plot = files.get('results/wire-1-1.svg') as string
  assert.match(plot, 'a &#60;b&#62;')
  assert.not.match(plot, 'NaN')
})

test('rows with an axis are lines', () => {
  const at = (x: number, value: number): Row => ({ ...row('ours', value), x })
  const files = render([result({ axis: 'GiB', rows: [at(16, 3), at(1, 1), at(4, 2)] })])
  const plot = files.get('results/wire-1-1.svg') as string
  assert.match(plot, /<polyline points="80,214\.7 325,129\.3 570,44"/)
  assert.match(files.get('RESULTS.md') as string, '| ours, 16 GiB | 3 |')
})

test('contenders take turns in going first, and one that fails is out', async () => {
  const order: string[] = []
  const contender = (label: string, fails = false) => ({
    label,
    run: async () => {
      order.push(label)
      if (fails) throw new Error('broken pipe')
      return { throughput: 1 }
    },
  })
  const rows = await interleave([contender('a'), contender('b', true), contender('c')], 3, [throughput], context)
  assert.equal(order, ['a', 'b', 'c', 'c', 'a', 'c', 'a'])
  assert.equal(
    rows.map(({ samples }) => samples.length),
    [3, 0, 3],
  )
  assert.is(rows[1]?.missing, 'failed in round 1: Error: broken pipe')
})

test.run()
