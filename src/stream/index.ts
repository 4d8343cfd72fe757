/**
 * The send stream's format, and what goes with it: resume tokens. All of it is plain JavaScript and needs no ZFS.
 *
 * @module stream
 */
export type { ParserOptions, RecordFigures, StreamInfo, StreamRecord, StreamSummary } from './parser.js'
export { type RecordType, recordTypes } from './records.js'
export { decodeResumeToken, describeResumeToken, type ResumeToken } from './resume-token.js'
export { type InspectOptions, inspectStream, StreamVerifier, verifyStream } from './verify.js'
