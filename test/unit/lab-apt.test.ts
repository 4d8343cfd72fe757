import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseMadison, sourcesList } from '../lab/build/apt.js'
import { parseDeb822, parseOneLine, pickMirrors } from '../lab/build/apt-sources.js'

const stanzas = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: trixie
Components: main
`

test('reads deb822 stanzas, leaving out disabled ones and sources', () => {
  const sources = parseDeb822(stanzas)
  assert.equal(
    sources.map(({ uri, suite }) => [uri, suite]),
    [
      ['http://mirror.example/debian/', 'bookworm'],
      ['http://mirror.example/debian/', 'bookworm-updates'],
      ['http://mirror.example/debian-security', 'bookworm-security'],
    ],
  )
  assert.equal(sources[0]?.components, ['main', 'contrib'])
  assert.match(sources[2]?.signedBy ?? '', 'debian-archive-keyring')
})

test('reads one-line sources with options and comments', () => {
  const sources = parseOneLine(`
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://x.example/apt stable main # theirs
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main non-free-firmware`)
  assert.equal(sources, [
    { uri: 'https://x.example/apt', suite: 'stable', components: ['main'], signedBy: '/usr/share/keyrings/x.gpg' },
    { uri: 'http://mirror.example/debian', suite: 'bookworm', components: ['main', 'non-free-firmware'], signedBy: '' },
  ])
})

test("picks Debian's mirror, not another repository that uses its suite names", () => {
  const other = 'deb [signed-by=/usr/share/keyrings/wine.gpg] https://wine.example/wine-builds/debian bookworm main'
  assert.equal(pickMirrors([...parseOneLine(other), ...parseDeb822(stanzas)]), {
    archive: 'http://mirror.example/debian',
    security: 'http://mirror.example/debian-security',
  })
})

test("falls back on Debian's own addresses", () => {
  assert.equal(pickMirrors(parseOneLine('deb cdrom:[Debian]/ bookworm main')), {
    archive: 'http://deb.debian.org/debian',
    security: 'http://deb.debian.org/debian-security',
  })
})

test('writes one line per suite, and brings the security suite of bookworm', () => {
  const text = sourcesList({ archive: 'http://a.example', security: 'http://s.example' }, [
    'trixie',
    'bookworm',
    'trixie',
  ])
  assert.equal(
    parseOneLine(text).map(({ uri, suite }) => `${uri} ${suite}`),
    [
      'http://a.example trixie',
      'http://a.example bookworm',
      'http://a.example bookworm-updates',
      'http://s.example bookworm-security',
    ],
  )
})

test('reads what apt-cache madison prints', () => {
  const text = ' zfs-dkms | 2.4.4-1~bpo13+1 | http://m.example/debian trixie-backports/contrib amd64 Packages\n'
  assert.equal(parseMadison(text), [{ package: 'zfs-dkms', version: '2.4.4-1~bpo13+1', suite: 'trixie-backports' }])
})

test.run()
