/** What a process uses while something goes on in it. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface Used {
  /** Of processor time, all threads. */
  cpuSeconds: number
  /** Of the event loop, in milliseconds beyond the interval of the timer that looks at it. */
  delayP99: number
  delayMaximum: number
  /** The most memory that was seen, in bytes. */
  peakRss: number
}

const resolution = 2
const rssMilliseconds = 50

/** @returns what ends the watch and tells */
export function watch(): () => Used {
  const delay = monitorEventLoopDelay({ resolution })
  let peakRss = process.memoryUsage.rss()
  const look = (): void => {
    peakRss = Math.max(peakRss, process.memoryUsage.rss())
  }
  const sampler = setInterval(look, rssMilliseconds)
  const before = process.cpuUsage()
  delay.enable()
  return () => {
    delay.disable()
    clearInterval(sampler)
    look()
    const { user, system } = process.cpuUsage(before)
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolution)
    return {
      cpuSeconds: (user + system) / 1e6,
      delayP99: late(delay.percentile(99)),
      delayMaximum: late(delay.max),
      peakRss,
    }
  }
}
