/** What the demos show: lines with the time, and the table at the end. */
import type { Progress } from 'flocker-zfs'

/** A stream that arrived. */
export interface Row {
  kind: string
  bytes: bigint
  seconds: number
  guid: string
  note?: string
}

export const mebibyte = 1024 * 1024
const started = performance.now()

export function say(text: string): void {
  console.log(`${secondsSoFar().toFixed(1).padStart(5)} s  ${text}`)
}

export function secondsSoFar(): number {
  return (performance.now() - started) / 1000
}

export function printTable(rows: readonly Row[]): void {
  console.log()
  for (const row of rows) console.log(describe(row))
}

function describe({ kind, bytes, seconds, guid, note = '' }: Row): string {
  const size = Number(bytes) / mebibyte
  const columns = [
    'alpha → beta',
    kind.padEnd(12),
    `${size.toFixed(1)} MiB`.padStart(10),
    `${seconds.toFixed(1)} s`.padStart(7),
    `${(size / seconds).toFixed(0)} MiB/s`.padStart(10),
    `guid ${guid}`,
    note,
  ]
  return columns.join('   ').trimEnd()
}

/** A progress report on its way from one process to another: JSON has no bigint. */
export interface ProgressEvent {
  event: 'progress'
  snapshot: string
  bytes: string
  total: string
  bytesPerSecond: number
  secondsLeft?: number
}

export function toEvent({ snapshot, bytes, total, bytesPerSecond, secondsLeft }: Progress): ProgressEvent {
  const left = secondsLeft === undefined ? {} : { secondsLeft }
  return { event: 'progress', snapshot, bytes: `${bytes}`, total: `${total}`, bytesPerSecond, ...left }
}

export function fromEvent({ snapshot, bytes, total, bytesPerSecond, secondsLeft }: ProgressEvent): Progress {
  return { snapshot, bytes: BigInt(bytes), total: BigInt(total), bytesPerSecond, secondsLeft }
}
