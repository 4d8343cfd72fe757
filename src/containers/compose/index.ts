export type { Variables } from './interpolate.js'
export { type ComposeOptions, readCompose } from './read.js'
