#!/usr/bin/env node
/**
 * Writes docs/lzc.md: libzfs_core's functions and ours, from src/lzc/functions.ts and from the doc comments in src/lzc, each of
 * which names the C functions behind it.
 *
 *   --check    write nothing; fail where the page is stale, or a function has no counterpart
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const page = join(root, 'docs/lzc.md')
const sources = join(root, 'src/lzc')

/** What has no counterpart among the public functions, and why. */
const internal = {
  lzc_ioctl_fd: 'none: for what libzfs_core lacks, the addon has ioctls of its own (native/zfs_ioctl.cc)',
}

const text = (file) => readFileSync(file, 'utf8')
const filesOf = (directory, pattern) =>
  readdirSync(directory)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(directory, name))

/** Name and first release. */
function known() {
  const [, list] = /lzcFunctions = \{(.*?)\}/s.exec(text(join(sources, 'functions.ts')))
  return new Map([...list.matchAll(/(lzc_\w+): '([\d.]+)'/g)].map(([, name, release]) => [name, release]))
}

/** Our public functions by the C functions that their comments name. */
function counterparts() {
  const exported = new Set(text(join(sources, 'index.ts')).match(/\b[a-z]\w*\b/g))
  const found = new Map()
  for (const file of filesOf(sources, /\.ts$/)) {
    for (const [, comment, name] of text(file).matchAll(
      /\/\*\*((?:(?!\*\/).)*)\*\/\nexport (?:async )?function (\w+)/gs,
    )) {
      if (!exported.has(name)) continue
      for (const each of new Set(comment.match(/\blzc_\w+/g) ?? [])) {
        found.set(each, [...(found.get(each) ?? []), name])
      }
    }
  }
  return found
}

function embedded() {
  const code = filesOf(join(root, 'native/embedded'), /\.c$/).map(text).join('\n')
  return new Set([...code.matchAll(/^FLOCKER_EMBEDDED_API \w+ (lzc_\w+)\(/gm)].map(([, name]) => name))
}

function row([name, release], ours, inEngine) {
  const names = ours.get(name)?.map((each) => `\`${each}\``)
  return [`\`${name}\``, release, names?.join(', ') ?? internal[name] ?? '', inEngine.has(name) ? 'yes' : '']
}

/** A Markdown table, its columns aligned as the formatter wants them. */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column].length)))
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function write(functions, ours, inEngine) {
  const rows = [...functions].map((each) => row(each, ours, inEngine))
  return `# libzfs_core and flocker-zfs/lzc

<!-- Made by scripts/lzc-table.mjs from src/lzc; change it there. -->

\`import * as lzc from 'flocker-zfs/lzc'\`: one function for each of libzfs_core's, typed, as promises. Names are checked before ZFS sees
them; errors have a \`code\` and an \`errno\`, and say what to do. uint64 is \`bigint\`.

The library is loaded at run time: one build serves OpenZFS 2.1 to 2.4. \`lzc.features()\` tells which functions the loaded one has; one that
it lacks rejects with \`NOT_SUPPORTED\` and names the release that has it. So does an older kernel module that lacks what a newer library
asks it for.

${table(['libzfs_core', 'since', 'flocker-zfs/lzc', 'embedded'], rows)}

\`lzc_send_progress\` is declared in libzfs_core.h and defined nowhere; \`SendStream.bytes\` and \`ReceiveStream.bytes\` tell how far a stream
is. In the last column, what the embedded engine (embedded.md) has too.

## Blocking calls

Every call has a thread of its own, never one of libuv's, and no signal of the process's reaches it. \`send\` and \`receive\` end within
their pipes. \`wait\`, \`waitTag\`, \`waitFs\` and channel programs block in the kernel for as long as it takes: with a \`signal\`, their
thread is sent a real-time signal of its own (one that nothing in the process has a handler for) until it is out of the kernel, and
the promise rejects then. So neither an abort nor the end of a worker leaves a thread behind. Two things can't be interrupted: a
thread that waits for the I/O of a suspended pool (the promise rejects after 5 s, the thread ends when the pool answers), and the
embedded engine.

## Keys

\`loadKey\`, \`changeKey\`, \`create\` and \`receive\` take the wrapping key itself: 32 bytes. \`passphraseKey\` makes one of a passphrase as
zfs(8) does. The bytes are copied before the call returns, and the addon's copy is wiped when it is done. Copies that libzfs_core makes for
the kernel are freed by it without being wiped. The pool's history has no key in it, nor has an error.

## Without root

\`zfs allow\` gives users what concerns datasets: \`create\`, \`snapshot\`, \`send\`, \`receive\`, \`hold\`, \`bookmark\`, \`loadKey\`,
\`changeKey\` and the like. Whoever may open /dev/zfs may look: \`exists\`, \`getHolds\`, \`getBookmarks\`, \`sendSpace\`, \`getVdevs\`,
\`wait\`, \`getBootenv\`, and \`sync\`. The rest is for root: channel programs, \`redact\`, checkpoints, devices, scrubs, and setting anything
of a pool's.
`
}

const functions = known()
const ours = counterparts()
const missing = [...functions.keys()].filter((name) => !ours.has(name) && internal[name] === undefined)
const strange = [...ours.keys()].filter((name) => !functions.has(name))
const made = write(functions, ours, embedded())
if (missing.length > 0) fail(`No doc comment in src/lzc names ${missing.join(', ')}`)
else if (strange.length > 0) fail(`libzfs_core has no ${strange.join(', ')}`)
else if (!process.argv.includes('--check')) writeFileSync(page, made)
else if (text(page) !== made) fail('docs/lzc.md is stale: node scripts/lzc-table.mjs')

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
