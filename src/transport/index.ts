/** The way between two hosts: mutual TLS, typed requests, and data connections. The wire protocol is in docs/protocol.md. */
export { pipeSink } from '../lzc/pipe-sink.js'
export { pipeSource } from '../lzc/pipe-source.js'
export {
  authorize,
  checkRules,
  isAuthorized,
  isAuthorizedBelow,
  mayBring,
  parseRules,
  type Rule,
  VERBS,
  type Verb,
} from './authorize.js'
export type { PlaneName } from './carrier.js'
export { type CaOptions, createCa, createHostCertificate, type HostCertificateOptions } from './certificates.js'
export { type Connection, type ConnectOptions, connect, type Hello, type RequestOptions } from './client.js'
export { type Credentials, certifiedAddress, loadCredentials, parseCredentials } from './credentials.js'
export type {
  DataChannel,
  DataLink,
  Successors,
  Ticket,
  TicketEvents,
  TransferOptions,
} from './data-plane.js'
export type { PlaneChoice } from './data-session.js'
export { checkPlane, kernelTlsProblem, planeChoices } from './kernel-tls.js'
export {
  type DataOffer,
  defineMethod,
  type Handler,
  handle,
  type Method,
  type RequestContext,
  type ServerConnection,
  uint64,
} from './method.js'
export { RateLimiter, type Share } from './rate-limiter.js'
export { type ListenOptions, listen, type Server } from './server.js'
export type { Heartbeat, Limits } from './settings.js'
export { fromWire, toWire, type WireError } from './wire-error.js'
