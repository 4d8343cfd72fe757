import type { WriteStream } from 'node:tty'
import type { Progress } from '../replication/index.js'

const mebibyte = 1024 * 1024

/** Shows a transfer: one moving line on a terminal, a plain line every few seconds elsewhere. */
export interface ProgressView {
  update(progress: Progress): void
  end(): void
}

export function progressView(label: string, stream: WriteStream = process.stderr): ProgressView {
  return stream.isTTY ? barView(label, stream) : lineView(label, stream)
}

function barView(label: string, stream: WriteStream): ProgressView {
  const { Presets, SingleBar } = require('cli-progress') as typeof import('cli-progress')
  const format = `${label} [{bar}] {percentage}%  {done} / {size} MiB  {rate} MiB/s  {left} s left`
  const bar = new SingleBar({ format, stream, hideCursor: true, clearOnComplete: false }, Presets.shades_classic)
  let started = false
  return {
    update(progress) {
      const total = Math.max(mib(progress.total), mib(progress.bytes), 0.1)
      const payload = { done: mib(progress.bytes).toFixed(1), size: total.toFixed(1), ...rateAndRest(progress) }
      if (!started) bar.start(total, 0, payload)
      started = true
      bar.setTotal(total)
      bar.update(mib(progress.bytes), payload)
    },
    end() {
      if (started) bar.stop()
    },
  }
}

const lineMilliseconds = 2000

function lineView(label: string, stream: WriteStream): ProgressView {
  let last = Number.NEGATIVE_INFINITY
  return {
    update(progress) {
      const now = performance.now()
      if (now - last < lineMilliseconds && progress.bytes < progress.total) return
      last = now
      const { rate, left } = rateAndRest(progress)
      const done = `${mib(progress.bytes).toFixed(1)} / ${mib(progress.total).toFixed(1)} MiB`
      stream.write(`${label}  ${done}  ${rate} MiB/s  ${left} s left\n`)
    },
    end() {
      last = Number.NEGATIVE_INFINITY
    },
  }
}

function rateAndRest({ bytesPerSecond, secondsLeft }: Progress): { rate: string; left: string } {
  return {
    rate: (bytesPerSecond / mebibyte).toFixed(1),
    left: secondsLeft === undefined ? '?' : secondsLeft.toFixed(0),
  }
}

function mib(bytes: bigint): number {
  return Number(bytes) / mebibyte
}
