#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { FlockerError } from '../errors.js'
import { agentCommand } from './agent.js'
import { benchCommand } from './bench.js'
import { certsCommand } from './certs.js'
import { containersCommand } from './containers.js'
import { deployCommand } from './deploy.js'
import { followCommand } from './follow.js'
import { acquireCommand, handoffCommand } from './handoff.js'
import { inspectCommand } from './inspect.js'
import { moveCommand } from './move.js'
import { promoteCommand } from './promote.js'
import { pruneCommand } from './prune.js'
import { pullCommand, pushCommand } from './replicate.js'
import { planCommand } from './replicate-tree.js'
import { statusCommand } from './status.js'
import { volumesCommand } from './volumes.js'

/** Exit status: 0 done, 1 failed, 2 misused. */
async function main(): Promise<void> {
  const program = new Command('flocker-zfs')
    .description('Replicate ZFS volumes between hosts over mutual TLS')
    .version(version())
    .addCommand(certsCommand())
    .addCommand(agentCommand())
    .addCommand(volumesCommand())
    .addCommand(pushCommand())
    .addCommand(pullCommand())
    .addCommand(handoffCommand())
    .addCommand(acquireCommand())
    .addCommand(followCommand())
    .addCommand(containersCommand())
    .addCommand(moveCommand())
    .addCommand(deployCommand())
    .addCommand(promoteCommand())
    .addCommand(statusCommand())
    .addCommand(pruneCommand())
    .addCommand(planCommand())
    .addCommand(benchCommand())
    .addCommand(inspectCommand())
  program.exitOverride()
  for (const command of program.commands) overrideExit(command)
  try {
    await program.parseAsync()
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** The package's, three directories above the compiled file. */
function version(): string {
  return JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')).version
}

function overrideExit(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) overrideExit(child)
}

function report(error: unknown): number {
  if (error instanceof Error && 'exitCode' in error) return error.exitCode === 0 ? 0 : 2
  if (error instanceof FlockerError) {
    console.error(`${error.name} [${error.code}] ${error.message}`)
    return error.code === 'INVALID_ARGUMENT' ? 2 : 1
  }
  console.error(error)
  return 1
}

void main()
