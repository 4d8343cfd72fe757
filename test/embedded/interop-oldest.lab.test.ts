import { interop } from './interop.js'

interop('oldest')
