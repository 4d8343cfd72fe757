/** The data planes that this build has. */
import { sessionAddon } from '../../src/lzc/native.js'

export type { PlaneChoice } from '../../src/transport/index.js'

/** Why there is no native one, if there is none. */
export const nativeProblem: string | undefined = sessionAddon().problem
