import type { Engine } from '../../src/lzc/index.js'

/**
 * All that one engine does and the other doesn't: the titles of the tests, by suite, whose calls reject with `NOT_SUPPORTED` on
 * that engine. Every other test passes on both.
 */
export const notSupported: Readonly<Record<Engine, Readonly<Record<string, readonly string[]>>>> = {
  embedded: {
    machine: ['mounting a filesystem', 'unmounting a filesystem'],
    receive: ['a stream of the other byte order'],
    properties: [
      'a filesystem of an older version',
      'small blocks of a size that is no power of two, or above 128 KiB',
    ],
  },
  kernel: {
    machine: [
      'opening a pool in a file',
      "reading a volume's bytes",
      'what of a volume can not be read or written',
      "writing a volume's bytes",
    ],
  },
}
