export { type EnsureOptions, ensureProfile } from './ensure.js'
export { loadProfile, type Profile, type ProfileName } from './profile.js'
export type { BuildProgress } from './progress.js'
