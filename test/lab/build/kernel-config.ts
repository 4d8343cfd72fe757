/** What a kernel was configured with, as it says itself (CONFIG_IKCONFIG, kernel/configs.c). */
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

const begin = Buffer.from('IKCFG_ST')
const end = Buffer.from('IKCFG_ED')

/** The options that are on, by name; empty where the kernel does not say. */
export async function readKernelConfig(kernel: string): Promise<Set<string>> {
  const image = await readFile(kernel)
  const from = image.indexOf(begin)
  const to = image.indexOf(end, from)
  if (from < 0 || to < 0) return new Set()
  const text = gunzipSync(image.subarray(from + begin.length, to)).toString()
  return new Set([...text.matchAll(/^CONFIG_(\w+)=y$/gm)].map(([, name]) => name as string))
}

/**
 * Whether a kernel hangs now and then: with its threads' stacks in vmalloc space, freeing other memory there takes a stack away for a moment,
 * and a signal in that moment finds what the task's state is copied from gone (arch/um, to_irq_stack()), for ever. Kernels that keep the
 * state elsewhere are safe.
 */
export function hangsAtTimes(config: ReadonlySet<string>): boolean {
  return config.has('VMAP_STACK') && !config.has('THREAD_INFO_IN_TASK')
}
