/** How a service is found to be ready: `healthcheck`, or `ready` of `x-flocker`. */
import type { Probe, ProbeTimes } from '../application.js'
import { type Fields, readText, readTexts } from './fields.js'
import type { Problems } from './problems.js'
import { parseDuration } from './quantities.js'
import type { Value } from './tree.js'

const noTries = 'a container is tried every 100 ms until it is ready, however many tries that takes'

/** Reads `healthcheck`. `undefined` for none: then a container that runs is ready. */
export function readHealthcheck(fields: Fields): Probe | undefined {
  const disabled = fields.boolean('disable')
  const test = fields.take('test')
  const times = readTimes(fields)
  fields.rest({ retries: noTries, start_period: noTries, start_interval: noTries })
  const command = test === undefined ? undefined : readTest(test, fields.problems)
  if (disabled === true || command === 'none') return undefined
  return { kind: 'container', ...(command === undefined ? {} : { command }), ...times }
}

function readTest(test: Value, problems: Problems): string[] | 'none' | undefined {
  if (test.kind !== 'list') {
    const text = readText(test, problems)
    return text === undefined ? undefined : shell(text)
  }
  const [kind, ...words] = readTexts(test, problems)
  if (kind === 'NONE' && words.length === 0) return 'none'
  if (kind === 'CMD' && words.length > 0) return words
  if (kind === 'CMD-SHELL' && words.length === 1) return shell(words[0] ?? '')
  problems.add(test, 'must be a text, ["CMD", WORD...], ["CMD-SHELL", TEXT] or ["NONE"]')
  return undefined
}

function shell(text: string): string[] {
  return ['/bin/sh', '-c', text]
}

function readTimes(fields: Fields): ProbeTimes {
  const time = (name: string): number | undefined =>
    fields.parsed(name, (text) => positive(parseDuration(text)), 'a duration from 1ms to 24h, such as 500ms or 1m30s')
  const [intervalMilliseconds, timeoutMilliseconds] = [time('interval'), time('timeout')]
  return {
    ...(intervalMilliseconds === undefined ? {} : { intervalMilliseconds }),
    ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
  }
}

function positive(milliseconds: number | undefined): number | undefined {
  return milliseconds !== undefined && Number.isInteger(milliseconds) && milliseconds >= 1 && milliseconds <= 86_400_000
    ? milliseconds
    : undefined
}

/** Reads `ready`: `{ tcp: PORT }`, or `{ http: PORT, path, status }`, with `interval` and `timeout`. */
export function readReady(fields: Fields): Probe | undefined {
  const [tcp, http] = [fields.number('tcp'), fields.number('http')]
  const times = readTimes(fields)
  const path = fields.text('path')
  const status = fields.number('status')
  fields.rest()
  if (tcp !== undefined && http === undefined && path === undefined && status === undefined) {
    return { kind: 'tcp', port: tcp, ...times }
  }
  if (http !== undefined && tcp === undefined) {
    return { kind: 'http', port: http, path: path ?? '/', ...(status === undefined ? {} : { status }), ...times }
  }
  fields.problems.add(fields.map, 'must be { tcp: PORT } or { http: PORT, path: /PATH, status: 200 }')
  return undefined
}
