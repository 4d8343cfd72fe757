import { interopOfSdk } from './interop-sdk.js'

interopOfSdk('newest')
