import { interop } from './interop.js'

interop('newest')
