import { z } from 'zod'
import { defineMethod, uint64 } from '../../transport/index.js'

/** What two hosts say to each other to find where the way between them is narrowest. */

const volume = z.string().min(1).max(255)
const ticket = z.string().max(128)
const load = z.object({
  process: z.number().min(0).max(65_536),
  machine: z.number().min(0).max(1),
  cores: z.int().min(1).max(65_536),
})
/** Of a stream that its sender has ended, early or not. */
const measured = z.object({ bytes: uint64, load })

/** How fast the asked host encrypts on one core. Needs the right `receive` for that volume. */
export const measureCipherOf = defineMethod('measure.cipher', {
  params: z.object({ volume }),
  result: z.object({ bytesPerSecond: uint64 }),
})

/** Takes a stream of anything over the data plane, and drops it. Needs the right `receive` for that volume. */
export const measureWire = defineMethod('measure.wire', {
  params: z.object({ volume }),
  event: z.object({ ticket }),
  result: measured,
})

/**
 * Receives a full stream as a volume that doesn't exist, and destroys what came of it. Of a stream that ends early ZFS itself leaves
 * nothing. Needs the right `receive` for that volume.
 */
export const measureReceive = defineMethod('measure.receive', {
  params: z.object({
    volume,
    /** A stream's BEGIN record as it stands in the stream: 312 bytes. */
    begin: z.base64().length(416),
  }),
  event: z.object({ ticket }),
  result: measured,
})
