/** A worker thread in which two hosts move a stream without end, between pipes, until it is ended. */
import { openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { pipeSink, pipeSource } from '../../src/transport/index.js'
import { Cluster, pair, Scope } from './transport-fixtures.js'

async function main(): Promise<void> {
  const scope = new Scope()
  const { channels } = await pair(scope, Cluster.of(workerData.directory))
  const { near, far } = await channels()
  void near.send(pipeSource(openSync('/dev/zero', 'r')), {
    onBytes: (bytes) => bytes > 1_000_000n && parentPort?.postMessage('moving'),
  })
  void far.receive(pipeSink(openSync('/dev/null', 'w')))
}

void main()
