export { type CreateVolumeOptions, checkRoot, createVolume, openVolume, Volume } from './volume.js'
