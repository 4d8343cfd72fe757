/**
 * `npm run demo`: a volume goes from one host to another. Without a kernel module, two processes with their own pools in files;
 * with `--lab`, two ZFS hosts with kernels of their own.
 */
import { embeddedDemo } from './embedded.js'
import { labDemo } from './lab.js'

const demo = process.argv.includes('--lab') ? labDemo : embeddedDemo
demo().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
