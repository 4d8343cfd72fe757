import { createCipheriv, randomBytes } from 'node:crypto'
import { cpus } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import type { Load } from './judge.js'

/** Begins to watch how busy this machine is. @returns what says so */
export function watchLoad(): () => Load {
  const [started, process0, machine0] = [performance.now(), process.cpuUsage(), machineTimes()]
  return () => {
    const milliseconds = Math.max(1, performance.now() - started)
    const { user, system } = process.cpuUsage(process0)
    const machine = machineTimes()
    const all = machine.all - machine0.all
    return {
      process: (user + system) / 1000 / milliseconds,
      machine: all > 0 ? Math.min(1, Math.max(0, 1 - (machine.idle - machine0.idle) / all)) : 0,
      cores: cpus().length,
    }
  }
}

/** Of all cores together, in milliseconds. */
function machineTimes(): { idle: number; all: number } {
  const sum = { idle: 0, all: 0 }
  for (const { times } of cpus()) {
    sum.idle += times.idle
    sum.all += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return sum
}

/** How many bytes a core encrypts in a second as TLS does, in AES-128-GCM. It lets other work in between. */
export async function measureCipher(milliseconds = 300): Promise<bigint> {
  const record = Buffer.alloc(16 * 1024)
  const key = randomBytes(16)
  let [bytes, spent] = [0, 0]
  while (spent < milliseconds) {
    const started = performance.now()
    for (let i = 0; i < 64; i++) {
      const cipher = createCipheriv('aes-128-gcm', key, randomBytes(12))
      bytes += cipher.update(record).length
      cipher.final()
    }
    spent += performance.now() - started
    await setImmediate()
  }
  return BigInt(Math.round((bytes * 1000) / spent))
}
