/** The data plane in JavaScript: Node's own TLS sockets and streams. */
import type { DataPlane } from './data-plane.js'
import { Receiver } from './receiver.js'
import { Sender } from './sender.js'

export const jsDataPlane: DataPlane = {
  name: 'javascript',
  send: (link, source, options) => new Sender(link, source, options).promise,
  receive: (link, sink, options) => new Receiver(link, sink, options).promise,
}
