/** Which Debian mirror this machine's apt uses, read from its sources without changing them (sources.list(5)). */

/** One line of sources.list, or one URI and suite of a deb822 stanza. */
export interface AptSource {
  uri: string
  suite: string
  components: string[]
  /** Keyrings or key identifiers; empty when the source names none. */
  signedBy: string
}

/** The addresses that private sources are built from. */
export interface Mirrors {
  /** Of the main archive: bookworm, bookworm-updates, trixie, trixie-backports. */
  archive: string
  /** Of bookworm-security. */
  security: string
}

const DEFAULT_ARCHIVE = 'http://deb.debian.org/debian'
const DEFAULT_SECURITY = 'http://deb.debian.org/debian-security'
const SUITE = /^(buster|bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)(-updates|-backports)?$/
const SECURITY_SUITE = /^(buster|bullseye|bookworm|trixie|forky|oldstable|stable|testing)-security$/

/** Parses the one-line format (`.list`); what is no `deb` line is left out. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri = '', suite = '', components = ''] = match
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1] ?? ''
    return [{ uri, suite, components: words(components), signedBy }]
  })
}

/** Parses the deb822 format (`.sources`); disabled stanzas and those of sources only are left out. */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = parseStanza(stanza)
    const field = (name: string) => fields.get(name) ?? ''
    if (/^(no|false|off|0)$/i.test(field('enabled')) || !words(field('types')).includes('deb')) return []
    const components = words(field('components'))
    return words(field('uris')).flatMap((uri) =>
      words(field('suites')).map((suite) => ({ uri, suite, components, signedBy: field('signed-by') })),
    )
  })
}

/** Picks Debian's own mirror out of the machine's sources; others' repositories may use Debian's suite names too. */
export function pickMirrors(sources: readonly AptSource[]): Mirrors {
  const debian = sources.filter(
    (source) =>
      source.components.includes('main') &&
      /^(https?|file|mirror(\+\w+)?):/.test(source.uri) &&
      (source.signedBy.includes('debian-archive') || (source.signedBy === '' && /debian/.test(source.uri))),
  )
  const find = (suites: RegExp) => debian.find((source) => suites.test(source.suite))?.uri.replace(/\/+$/, '')
  return { archive: find(SUITE) ?? DEFAULT_ARCHIVE, security: find(SECURITY_SUITE) ?? DEFAULT_SECURITY }
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>()
  let name = ''
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue
    const start = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line)
    if (start !== null) {
      name = (start[1] ?? '').toLowerCase()
      fields.set(name, start[2] ?? '')
    } else if (name !== '') {
      fields.set(name, `${fields.get(name)}\n${line.trim()}`)
    }
  }
  return fields
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}
