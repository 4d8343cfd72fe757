/** A slow wire: forwards TCP connections to a port of this machine, with so many bytes a second towards it. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export class Relay implements AsyncDisposable {
  readonly #sockets = new Set<Socket>()

  private constructor(
    private readonly server: Server,
    private readonly bytesPerSecond: number,
    /** Where connections go; may be changed while there is none. */
    public target: number,
  ) {
    server.on('connection', (socket) => void this.#forward(socket))
  }

  static async listen(target: number, bytesPerSecond: number): Promise<Relay> {
    const server = createServer({ pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Relay(server, bytesPerSecond, target)
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Cuts all connections there are. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async #forward(near: Socket): Promise<void> {
    const far = connect(this.target, '127.0.0.1')
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      // What is lost on one side is lost on the other, as on a wire.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    far.on('data', (chunk) => near.write(chunk))
    near.on('data', async (chunk) => {
      far.write(chunk)
      near.pause()
      await wait((chunk.length / this.bytesPerSecond) * 1000)
      near.resume()
    })
    near.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }
}
