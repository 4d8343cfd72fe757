/** What the benchmarks print: every figure, medians, and ratios of samples that were taken one right after the other. */
import { cpus } from 'node:os'

export const mebibyte = 1024 * 1024

export interface Sample {
  bytes: number
  seconds: number
  /** Of all the processes that took part. */
  cpuSeconds?: number
}

/** The machine's processors, as every report begins. */
export function machine(): string {
  return `${cpus()[0]?.model} x ${cpus().length}`
}

/** In MiB/s. */
export function rate({ bytes, seconds }: Sample): number {
  return bytes / mebibyte / seconds
}

export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Prints one row: every sample, in the order in which they were taken. */
export function print(label: string, samples: Sample[]): void {
  const rates = samples.map((sample) => rate(sample).toFixed(0))
  const row = `${label.padEnd(38)} ${rates.join('  ')} MiB/s; median ${median(samples.map(rate)).toFixed(0)}`
  const cpu = samples.flatMap(({ bytes, cpuSeconds }) =>
    cpuSeconds === undefined ? [] : [cpuSeconds / (bytes / mebibyte / 1024)],
  )
  console.log(cpu.length === 0 ? row : `${row}; ${median(cpu).toFixed(1)} CPU seconds/GiB`)
}

/** Prints how much faster `samples` are than what they are compared `to`, pair by pair; below 1: slower. */
export function printRatios(label: string, samples: Sample[], to: Sample[]): void {
  const ratios = samples.map((sample, i) => rate(sample) / rate(to[i] as Sample))
  const each = ratios.map((ratio) => ratio.toFixed(2)).join('  ')
  console.log(`${label}, pair by pair: ${each}; median ${median(ratios).toFixed(2)}`)
}
