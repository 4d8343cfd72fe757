/** Plots: bars for what is compared, lines for what grows. Each shows the medians, and from minimum to maximum. */
import { format } from './numbers.js'
import type { Measure, Row, Section } from './result.js'
import { type Spread, spread, values } from './statistics.js'

const width = 760
const text = 'font-family="system-ui, sans-serif" font-size="13" fill="#24292f"'
const oursColour = '#0969da'
const colours = ['#0969da', '#bc4c00', '#1a7f37', '#8250df', '#cf222e', '#6e7781']

/** One measure of a section. */
export function plot(section: Section, measure: Measure): string {
  return section.axis === undefined ? bars(section, measure) : lines(section, measure, section.axis)
}

function bars(section: Section, measure: Measure): string {
  const [left, step, top] = [250, 30, 40]
  const rows = section.rows.map((row) => ({ row, found: spread(values(row, measure.key)) }))
  const most = Math.max(...rows.map(({ found }) => found?.maximum ?? 0), measure.limit ?? 0) || 1
  const at = (value: number) => left + (value / most) * (width - left - 110)
  const drawn = rows.map(({ row, found }, i) => {
    const y = top + i * step
    const label = `<text x="${left - 8}" y="${y + 15}" text-anchor="end" ${text}>${xml(row.label)}</text>`
    if (found === undefined) return `${label}<text x="${left}" y="${y + 15}" ${text} opacity="0.6">none</text>`
    const colour = row.label === section.ours ? oursColour : '#8c959f'
    const bar = `<rect x="${left}" y="${y}" width="${round(at(found.median) - left)}" height="20" fill="${colour}"/>`
    const value = `<text x="${round(at(found.maximum) + 8)}" y="${y + 15}" ${text}>${format(found.median)}</text>`
    return label + bar + line(at(found.minimum), y + 10, at(found.maximum), y + 10) + value
  })
  const height = top + rows.length * step + 6
  if (measure.limit !== undefined)
    drawn.push(line(at(measure.limit), top - 6, at(measure.limit), height - 6, '#cf222e'))
  return frame(height, title(section, measure), drawn)
}

function lines(section: Section, measure: Measure, axis: string): string {
  const [left, right, top, bottom, height] = [80, width - 190, 44, 300, 350]
  const points = section.rows.flatMap((row) => {
    const found = spread(values(row, measure.key))
    return found === undefined || row.x === undefined ? [] : [{ ...found, x: row.x, label: row.label }]
  })
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b)
  const logarithmic = (xs[0] ?? 0) > 0 && (xs.at(-1) ?? 0) / (xs[0] ?? 1) >= 8
  const atX = between(xs[0] ?? 0, xs.at(-1) ?? 1, left, right, logarithmic)
  const limit = measure.limit === undefined ? [] : [measure.limit]
  const { ticks, at: atY } = upright(
    [...points.flatMap(({ minimum, maximum }) => [minimum, maximum]), ...limit],
    bottom,
    top,
  )
  const drawn = [line(left, bottom, right, bottom, '#d0d7de'), line(left, top, left, bottom, '#d0d7de')]
  for (const x of xs) drawn.push(label(atX(x), bottom + 18, format(x), 'middle'))
  drawn.push(label((left + right) / 2, bottom + 40, axis, 'middle'))
  for (const y of ticks) drawn.push(label(left - 8, atY(y) + 4, format(y), 'end'))
  for (const y of limit) drawn.push(line(left, atY(y), right, atY(y), '#cf222e'))
  const series = [...new Set(points.map((point) => point.label))]
  for (const [i, name] of series.entries()) {
    const colour = colours[i % colours.length] as string
    const own = points.filter((point) => point.label === name).sort((a, b) => a.x - b.x)
    const path = own.map((point) => `${round(atX(point.x))},${round(atY(point.median))}`).join(' ')
    drawn.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    for (const point of own) drawn.push(mark(point, atX(point.x), atY, colour))
    drawn.push(`<rect x="${right + 16}" y="${top + i * 22}" width="12" height="12" fill="${colour}"/>`)
    drawn.push(label(right + 34, top + i * 22 + 11, name, 'start'))
  }
  return frame(height, title(section, measure), drawn)
}

/** From 0 in even steps; or in powers of ten, where the values are far apart. */
function upright(
  found: readonly number[],
  bottom: number,
  top: number,
): { ticks: number[]; at: (y: number) => number } {
  const [least, most] = [Math.min(...found), Math.max(...found, 0) || 1]
  if (!(least > 0 && most / least >= 100)) {
    return { ticks: [0, most / 2, most], at: between(0, most, bottom, top, false) }
  }
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))]
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
  return { ticks, at: between(10 ** first, 10 ** last, bottom, top, true) }
}

/** Puts what is between `low` and `high` between `from` and `to`. */
function between(low: number, high: number, from: number, to: number, logarithmic: boolean): (value: number) => number {
  const scale = (value: number) => (logarithmic ? Math.log(value) : value)
  return (value) => from + ((scale(value) - scale(low)) / (scale(high) - scale(low) || 1)) * (to - from)
}

function mark(found: Spread, x: number, atY: (y: number) => number, colour: string): string {
  const dot = `<circle cx="${round(x)}" cy="${round(atY(found.median))}" r="3.5" fill="${colour}"/>`
  return dot + line(x, atY(found.minimum), x, atY(found.maximum), colour)
}

function title(section: Section, measure: Measure): string {
  return `${section.title}: ${measure.label}, ${measure.unit} (${measure.better} is better)`
}

function frame(height: number, name: string, drawn: string[]): string {
  const size = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`
  const head = `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${xml(name)}">`
  const back = '<rect width="100%" height="100%" fill="#ffffff"/>'
  return `${[head, back, `<text x="8" y="22" ${text} font-weight="600">${xml(name)}</text>`, ...drawn, '</svg>'].join('\n')}\n`
}

function line(x1: number, y1: number, x2: number, y2: number, colour = '#24292f'): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}"/>`
}

function label(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" ${text}>${xml(words)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function xml(words: string): string {
  return words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

/** The rows of a section, each line's apart. */
export function rowName({ label, x }: Row, axis: string | undefined): string {
  return axis === undefined || x === undefined ? label : `${label}, ${format(x)} ${axis}`
}
