/** RESULTS.md and its plots, of nothing but results. */
import { format } from './numbers.js'
import type { Environment, Goal, Measure, Result, Row, Section } from './result.js'
import { judge, ratios, spread, values } from './statistics.js'
import { plot, rowName } from './svg.js'

/** Samples that are shown beside their median; what has more is in the JSON only. */
const shown = 9

/** The contents of files, by their paths below bench/. */
export function render(results: readonly Result[]): Map<string, string> {
  const files = new Map<string, string>()
  const sorted = [...results].sort((a, b) => a.name.localeCompare(b.name))
  const parts = sorted.map((result) => renderResult(result, files))
  files.set('RESULTS.md', [introduction(sorted), ...parts].join('\n\n').concat('\n'))
  return files
}

function introduction(results: readonly Result[]): string {
  const list = results.map(({ name, title }) => `- [${title}](#${name})`)
  return [
    '# Benchmarks',
    'Written by `npm run bench`; do not edit. Each figure is a median, with minimum and maximum in brackets. **Ratios** compare ours with another row **round by round**, as both were measured one right after the other: *ahead* or *behind* where every round says so, *even* where rounds differ. Absolute figures are those of the machine that each part names. The raw samples are in [results](results).',
    list.join('\n'),
  ].join('\n\n')
}

function renderResult(result: Result, files: Map<string, string>): string {
  const heading = `<a id="${result.name}"></a>\n\n## ${result.title}`
  const quick = result.quick
    ? ['> Taken with `--quick`: small sizes and few rounds. The figures only show that the benchmark works.']
    : []
  const sections = result.sections.map((section, i) => renderSection(section, `${result.name}-${i + 1}`, files))
  return [heading, describe(result), ...quick, ...sections].join('\n\n')
}

function describe({ name, seconds, environment }: Result): string {
  const { cpu, cores, memoryBytes, kernel, load, commit, date, versions } = environment satisfies Environment
  const with_ = Object.entries(versions).map(([what, version]) => `${what} ${version}`)
  const machine = `${cpu}, ${cores} cores, ${format(memoryBytes / 1024 ** 3)} GiB, Linux ${kernel}, load before ${format(load)}`
  return `${machine}; ${with_.join(', ')}; commit ${commit}, ${date}, ${format(seconds)} s; \`npm run bench -- ${name}\`.`
}

function renderSection(section: Section, name: string, files: Map<string, string>): string {
  const pictures = section.measures.flatMap((measure, i) => {
    if (section.rows.every((row) => values(row, measure.key).length === 0)) return []
    const file = `results/${name}-${i + 1}.svg`
    files.set(file, plot(section, measure))
    return [`![${section.title}: ${measure.label}](${file})`]
  })
  const parts = [
    `### ${section.title}`,
    section.about,
    table(section),
    ...limits(section),
    ...goals(section),
    ...pictures,
  ]
  return [...parts, ...raw(section)].join('\n\n')
}

function table(section: Section): string {
  const { measures, axis } = section
  const ours = section.rows.find((row) => row.label === section.ours)
  const head = ['', ...measures.map(({ label, unit }) => `${label}, ${unit}`)]
  if (ours !== undefined) head.push(...measures.map(({ label }) => `ours to it: ${label}`))
  const rows = section.rows.map((row) => {
    const cells = [cell(rowName(row, axis)), ...measures.map((measure) => figures(row, measure))]
    if (ours !== undefined) cells.push(...measures.map((measure) => comparison(ours, row, measure)))
    if (row.missing !== undefined) cells[1] = [cells[1], `*${cell(row.missing)}*`].filter(Boolean).join(' ')
    return cells
  })
  const align = head.map((_, i) => (i === 0 ? '---' : '---:'))
  return [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function figures(row: Row, { key }: Measure): string {
  const found = spread(values(row, key))
  if (found === undefined) return ''
  return found.minimum === found.maximum
    ? format(found.median)
    : `${format(found.median)} (${format(found.minimum)}–${format(found.maximum)})`
}

function comparison(ours: Row, theirs: Row, { key, better }: Measure): string {
  const found = ours === theirs ? undefined : spread(ratios(ours, theirs, key))
  if (found === undefined) return ''
  return `${format(found.median)} (${format(found.minimum)}–${format(found.maximum)}), ${judge(found, better)}`
}

/** Whether what was promised holds, row by row. */
function limits({ measures, rows, axis }: Section): string[] {
  return measures.flatMap(({ key, label, unit, better, limit }) => {
    if (limit === undefined) return []
    const broken = rows.filter((row) => values(row, key).some((v) => (better === 'more' ? v < limit : v > limit)))
    const wanted = `${label}: ${better === 'more' ? 'at least' : 'at most'} ${format(limit)} ${unit}`
    if (broken.length === 0) return [`**${wanted}**: holds in every round.`]
    return [`**${wanted}**: does not hold for ${broken.map((row) => rowName(row, axis)).join('; ')}.`]
  })
}

/** Whether the ratios are as promised; those that can't be told are said to be so. */
function goals(section: Section): string[] {
  const ours = section.rows.find((row) => row.label === section.ours)
  if (ours === undefined || section.goals === undefined) return []
  return [section.goals.map((goal) => `- ${judgeGoal(section, ours, goal)}`).join('\n')]
}

function judgeGoal({ measures, rows }: Section, ours: Row, { measure, to, atLeast, atMost }: Goal): string {
  const bounds = [
    atLeast === undefined ? [] : `at least ${format(atLeast)}`,
    atMost === undefined ? [] : `at most ${format(atMost)}`,
  ]
  const label = measures.find(({ key }) => key === measure)?.label ?? measure
  const wanted = `${label}, ours to ${to}: ${bounds.flat().join(', ')} wanted`
  const theirs = rows.find((row) => row.label === to)
  const found = theirs && spread(ratios(ours, theirs, measure))
  if (found === undefined) return `${wanted}, **not measured**`
  const holds = found.median >= (atLeast ?? -Infinity) && found.median <= (atMost ?? Infinity)
  return `${wanted}, ${format(found.median)} found: **${holds ? 'holds' : 'does not hold'}**`
}

function raw({ measures, rows, axis }: Section): string[] {
  const lines = rows.flatMap((row) =>
    measures.flatMap(({ key, label, unit }) => {
      const all = values(row, key)
      if (all.length < 2 || all.length > shown) return []
      return [`- ${rowName(row, axis)}, ${label}: ${all.map(format).join(', ')} ${unit}`]
    }),
  )
  if (lines.length === 0) return []
  return [`<details><summary>Every round</summary>\n\n${lines.join('\n')}\n\n</details>`]
}

function cell(words: string): string {
  return words.replace(/\s+/g, ' ').replaceAll('|', '\\|')
}
