/** Runs inside a lab host: does what the JSON in its first argument says; a stream comes on standard input or goes to standard output. */
import { buffer } from 'node:stream/consumers'
import * as lzc from '../../../src/lzc/index.js'
import { receive, send, token } from '../sdk.js'
import type { Receiving, Sending } from '../side.js'

async function main([operation, name, more]: [string, string, unknown]): Promise<string | Buffer> {
  switch (operation) {
    case 'snapshot':
      await lzc.snapshot(name)
      return ''
    case 'bookmark':
      await lzc.bookmark({ [name]: more as string })
      return ''
    case 'clone':
      await lzc.clone(more as string, name)
      return ''
    case 'send':
      return send(name, more as Sending)
    case 'receive':
      await receive(name, await buffer(process.stdin), more as Receiving)
      return ''
    case 'token':
      return token(name)
    default:
      throw new Error(`no such operation: ${operation}`)
  }
}

void main(JSON.parse(process.argv[2] as string)).then((answer) => process.stdout.write(answer))
