import { randomUUID } from 'node:crypto'
import { ReplicationError } from '../errors.js'
import { type Delivered, deliver } from './deliver.js'
import { isSend, type SendStep, type Step, type TreePlan } from './planner/tree-plan.js'
import type { Replication } from './replication.js'

/** What all steps of one plan have in common. */
export interface StepContext extends Omit<Replication, 'volume' | 'replica' | 'transfer' | 'what'> {
  /** The volume's name below either host's root: the plan's root. */
  volume: string
  plan: TreePlan
  /** GUIDs of the source's snapshots that a replication made for this destination. */
  pending: ReadonlySet<bigint>
  /** The resume tokens that the destination had when the plan was made. */
  tokens: ReadonlySet<string>
  /** Claims a dataset of the source for the time of one stream. */
  claim: (volume: string) => () => void
}

/** Runs one step. */
export async function takeStep(context: StepContext, step: Step): Promise<Delivered> {
  const { destination, plan, options, logger } = context
  const replica = volumeOf(context, plan.destination, step.destination)
  if (isSend(step)) return sendStep(context, step, replica)
  logger.info({ step: step.kind, destination: step.destination }, step.why)
  if (step.kind === 'rename') {
    await destination.rename(replica, volumeOf(context, plan.destination, step.to), options.signal)
  } else if (step.kind === 'create') await destination.createParent(replica, options.signal)
  else await discard(context, replica)
  return { bytes: 0n, propertiesLeftOut: [] }
}

async function sendStep(context: StepContext, step: SendStep, replica: string): Promise<Delivered> {
  const { plan, pending, claim } = context
  const volume = volumeOf(context, plan.source, step.source)
  const release = claim(volume)
  try {
    if (volume !== context.volume) await context.announce(volume)
    const transfer = randomUUID()
    const logger = context.logger.child({ transferId: transfer, dataset: step.source })
    const what = `the ${step.kind} stream of ${step.source}@${step.to.name}`
    const { name, guid, createtxg } = step.to
    return await deliver(
      { ...context, what, transfer, volume, replica, logger },
      {
        target: { name, guid, createtxg, ours: pending.has(guid) },
        base: 'from' in step ? step.from : undefined,
        resume: step.kind === 'resume' ? step.resume : undefined,
        receiveAs: step.snapshot.slice(step.destination.length + 1),
        ...(step.kind === 'clone' ? { origin: originOf(context, step.origin) } : {}),
      },
    )
  } finally {
    release()
  }
}

function originOf(context: StepContext, origin: string): { volume: string; snapshot: string } {
  const [dataset = '', snapshot = ''] = origin.split('@')
  return { volume: volumeOf(context, context.plan.destination, dataset), snapshot }
}

async function discard({ destination, tokens, options }: StepContext, replica: string): Promise<void> {
  const { token, dataset } = await destination.inspect(replica, options.signal)
  if (token === undefined || !tokens.has(token)) {
    throw new ReplicationError('PARTIAL_CHANGED', `What ${dataset} has of an interrupted receive is not what it was`, {
      dataset,
      peer: destination.identity,
      next: 'Do it again: it will look anew.',
    })
  }
  await destination.discardPartial(replica, token, options.signal)
}

/** The name below a host's root of what is the plan's root there, or below it. */
function volumeOf({ volume }: StepContext, root: string, dataset: string): string {
  return `${volume}${dataset.slice(root.length)}`
}
