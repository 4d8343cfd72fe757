/** The host that the first request of an HTTP/1 connection names: RFC 9112, sections 3 and 5; RFC 9110, section 7.2. Pure. */
import type { Opening } from './opening.js'

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ (\S+) HTTP\/1\.[01]$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i
const NAME_AND_PORT = /^([a-z0-9_.-]+?)\.?(?::\d{1,5})?$/i

/** Reads the name from the first bytes of a connection, as far as they have arrived. Two Host fields, or a folded one, are invalid. */
export function readRequestHead(bytes: Buffer): Opening {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return looksLikeRequest(bytes) ? { kind: 'more' } : { kind: 'invalid' }
  const [requestLine = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n')
  const target = REQUEST_LINE.exec(requestLine)?.[1]
  if (target === undefined) return { kind: 'invalid' }
  const hosts: string[] = []
  for (const line of fields) {
    const field = FIELD.exec(line)
    if (field === null) return { kind: 'invalid' }
    if (field[1]?.toLowerCase() === 'host') hosts.push(field[2] ?? '')
  }
  if (hosts.length > 1) return { kind: 'invalid' }
  const authority = ABSOLUTE.exec(target)?.[1] ?? hosts[0]
  if (authority === undefined || authority === '') return { kind: 'unnamed' }
  const name = NAME_AND_PORT.exec(authority)?.[1]
  return name === undefined ? { kind: 'invalid' } : { kind: 'named', name: name.toLowerCase() }
}

/** A request begins with a word of letters: a TLS client at this port is told so at once. */
function looksLikeRequest(bytes: Buffer): boolean {
  return bytes.length === 0 || /^[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(bytes[0] ?? 0))
}
