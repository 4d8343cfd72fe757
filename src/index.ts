/**
 * Hosts, volumes and their replication.
 *
 * @module index
 */
export {
  AbortError,
  AddonError,
  ArgumentError,
  DivergedError,
  type ErrorDetails,
  FlockerError,
  type NamedPoint,
  NotAuthorizedError,
  NotSupportedError,
  ReplicationError,
  StreamError,
  TimeoutError,
  TransportError,
  ZfsError,
} from './errors.js'
export { type ConnectOptions, defaultPort, Host, type HostOptions, type ListenOptions, openHost } from './host.js'
export {
  Peer,
  type Progress,
  type PushSource,
  pullVolume,
  pushVolume,
  type ReplicationOptions,
  type ReplicationResult,
  type ResumedStream,
} from './replication/index.js'
export {
  decodeResumeToken,
  inspectStream,
  type ResumeToken,
  type StreamSummary,
  verifyStream,
} from './stream/index.js'
export {
  type Credentials,
  createCa,
  createHostCertificate,
  loadCredentials,
  RateLimiter,
  type Rule,
  type Server,
  type Verb,
} from './transport/index.js'
export { type CreateVolumeOptions, type Offset, type ReadableRange, Volume } from './volumes/index.js'
