/**
 * The server name in a ClientHello: RFC 8446, sections 4.1.2 and 5.1 (TLS 1.2 writes it the same way); RFC 6066, section 3. Pure, and
 * whatever the bytes are it reads none that are not there.
 */
import type { Opening } from './opening.js'

const HANDSHAKE_RECORD = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0
const RECORD_HEADER_BYTES = 5
const MOST_RECORD_BYTES = 16_384
/** Version and random: what a ClientHello starts with. */
const FIXED_BYTES = 34

/** Reads the name from the first bytes of a connection: a ClientHello in one record or in several, as far as it has arrived. */
export function readClientHello(bytes: Buffer): Opening {
  const handshake = joinRecords(bytes)
  if (handshake === undefined) return { kind: 'invalid' }
  if (handshake.length > 0 && handshake[0] !== CLIENT_HELLO) return { kind: 'invalid' }
  if (handshake.length < 4 || handshake.length < 4 + handshake.readUIntBE(1, 3)) return { kind: 'more' }
  return readHello(handshake.subarray(4, 4 + handshake.readUIntBE(1, 3)))
}

/** The contents of the handshake records, the last of which may still be on its way. Undefined: these are no handshake records. */
function joinRecords(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE_RECORD || (bytes.length > at + 1 && bytes[at + 1] !== 3)) {
      // What follows a whole ClientHello is not its own.
      return parts.length > 0 ? Buffer.concat(parts) : undefined
    }
    if (bytes.length < at + RECORD_HEADER_BYTES) break
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > MOST_RECORD_BYTES) return undefined
    parts.push(bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length))
    at += RECORD_HEADER_BYTES + length
  }
  return Buffer.concat(parts)
}

function readHello(hello: Buffer): Opening {
  let rest: Buffer | undefined = hello.subarray(FIXED_BYTES)
  // The session identifier, the cipher suites, the compression methods.
  for (const width of [1, 2, 1] as const) rest = rest && readVector(rest, width)?.rest
  if (hello.length < FIXED_BYTES || rest === undefined) return { kind: 'invalid' }
  if (rest.length === 0) return { kind: 'unnamed' }
  const extensions = readVector(rest, 2)?.value
  return extensions === undefined ? { kind: 'invalid' } : findName(extensions)
}

function findName(extensions: Buffer): Opening {
  for (let rest = extensions; rest.length > 0; ) {
    if (rest.length < 2) return { kind: 'invalid' }
    const extension = readVector(rest.subarray(2), 2)
    if (extension === undefined) return { kind: 'invalid' }
    if (rest.readUInt16BE(0) === SERVER_NAME) return readServerNames(extension.value)
    rest = extension.rest
  }
  return { kind: 'unnamed' }
}

function readServerNames(extension: Buffer): Opening {
  const list = readVector(extension, 2)?.value
  // One name of the one type there is; nobody sends another.
  const name = list?.[0] === HOST_NAME ? readVector(list.subarray(1), 2)?.value : undefined
  if (name === undefined || name.length === 0 || name.length > 255) return { kind: 'invalid' }
  return { kind: 'named', name: name.toString('latin1').toLowerCase() }
}

/** A vector behind its length of so many bytes, and what follows it. Undefined: it does not fit. */
function readVector(bytes: Buffer, width: 1 | 2): { value: Buffer; rest: Buffer } | undefined {
  if (bytes.length < width) return undefined
  const end = width + bytes.readUIntBE(0, width)
  return bytes.length < end ? undefined : { value: bytes.subarray(width, end), rest: bytes.subarray(end) }
}
