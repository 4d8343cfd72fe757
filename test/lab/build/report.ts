/** Shows a build to a person: one updating line on a terminal, a plain line now and then elsewhere. */
import type { WriteStream } from 'node:tty'
import { type BuildProgress, clock, describeProgress } from './progress.js'

const PLAIN_INTERVAL_SECONDS = 15

/** Functions that show one profile's build, beside others. */
export interface Reporter {
  progress: (progress: BuildProgress) => void
  wait: (pid: number) => void
  /** Ends the line; says how long the build took if there was one. */
  end: () => void
}

/** @param stream standard error, usually */
export function reporters(stream: WriteStream): (name: string) => Reporter {
  const shown = new Map<string, string>()
  const redraw = (): void => {
    stream.write(`\r\x1b[2K${[...shown.values()].join('; ').slice(0, stream.columns - 1)}`)
  }
  return (name) => reporter(name, stream, shown, redraw)
}

function reporter(name: string, stream: WriteStream, shown: Map<string, string>, redraw: () => void): Reporter {
  let shownAt = Number.NEGATIVE_INFINITY
  let phase = ''
  let seconds = 0
  const plain = (progress: BuildProgress) => {
    if (progress.phase === phase && progress.elapsedSeconds < shownAt + PLAIN_INTERVAL_SECONDS) return
    shownAt = progress.elapsedSeconds
    phase = progress.phase
    stream.write(`${describeProgress(progress)}\n`)
  }
  return {
    progress: (progress) => {
      seconds = progress.elapsedSeconds
      if (!stream.isTTY) return plain(progress)
      shown.set(name, describeProgress(progress))
      redraw()
    },
    wait: (pid) => stream.write(`${name}: process ${pid} is building it; waiting\n`),
    end: () => {
      if (seconds > 0) stream.write(`${stream.isTTY ? '\r\x1b[2K' : ''}${name}: ended after ${clock(seconds)}\n`)
      shown.delete(name)
      if (stream.isTTY) redraw()
    },
  }
}
