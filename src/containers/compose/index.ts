export { type ComposeOptions, readCompose } from './read.js'
