export type { Offset, ReadableRange } from './block.js'
export { type CreateVolumeOptions, checkRoot, createVolume, openVolume, Volume } from './volume.js'
