/** A tree on alpha, which is in this process, and its replica on beta, whose agent is another. */
import * as assert from 'uvu/assert'
import {
  type Host,
  type Peer,
  replicate,
  type Step,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { type Agent, openAlpha, openBeta, startBeta } from './cluster.js'
import { withDirectory } from './engine.js'
import { source } from './trees.js'

export interface Story {
  directory: string
  alpha: Host
  /** The agent's, until {@link look}. */
  peer: () => Promise<Peer>
  /** Brings alpha's tree to beta. */
  push: (options?: TreeReplicationOptions) => Promise<TreeReplicationResult>
  /** Ends the agent, and has its pool here for a while. */
  look: (use: () => Promise<void>) => Promise<void>
}

export async function withStory(use: (story: Story) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await lzc.create('alpha/flocker', { properties: { canmount: 'off' } })
    await lzc.create(source)
    let agent: Agent | undefined
    const peer = async (): Promise<Peer> => {
      agent ??= await startBeta(directory)
      return alpha.connect(`127.0.0.1:${agent.port}`)
    }
    const push = async (options: TreeReplicationOptions = {}): Promise<TreeReplicationResult> => {
      await using beta = await peer()
      return await replicate('app', { from: alpha, to: beta }, options)
    }
    const look = async (looking: () => Promise<void>): Promise<void> => {
      assert.is(await agent?.end('SIGTERM'), 'status 0')
      agent = undefined
      await using _ = await openBeta(directory)
      await looking()
    }
    try {
      await use({ directory, alpha, peer, push, look })
    } finally {
      await agent?.end('SIGKILL')
    }
  })
}

/** Every step went through and nothing was found. */
export function checkClean({ outcomes, findings, failed, leftOut }: TreeReplicationResult): void {
  const bad = outcomes.find(({ kind }) => kind !== 'done')
  if (bad?.kind === 'failed') throw bad.error
  assert.equal([failed, leftOut], [0, 0])
  assert.equal(findings, [])
}

export const stepsOf = ({ outcomes }: TreeReplicationResult): Step[] => outcomes.map(({ step }) => step)
