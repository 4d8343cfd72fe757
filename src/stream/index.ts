/** The send stream's format, and what goes with it: resume tokens. */
export { decodeResumeToken, type ResumeToken } from './resume-token.js'
