/** What `push` and `pull` can be told of each stream: its properties and its bandwidth. */
import { type Command, InvalidArgumentError } from 'commander'
import type { LeftOutProperty, PropertyOptions, ReplicationOptions, WhyLeftOut } from '../replication/index.js'
import { parseRate } from './options.js'

export interface StreamFlags {
  properties?: PropertyOptions['send']
  excludeProperty?: string[]
  setProperty?: Record<string, string>
  limit?: number
}

/** Gives a command those options. */
export function addStreamFlags(command: Command): Command {
  return command
    .option(
      '--properties <names>',
      "which of the source's own properties go too: all (that are safe), none, or names and globs, NAME,...",
      parseNames,
    )
    .option('--exclude-property <name>', 'leave out this property, or those of this glob; may be repeated', addName)
    .option('--set-property <name=value>', 'set this property on the replica; may be repeated', addSetting)
    .option('--limit <rate>', 'the most to move, in bytes per second, such as 50M', parseRate)
}

/** Those options, as a replication takes them. */
export function streamOptions(flags: StreamFlags): Pick<ReplicationOptions, 'properties' | 'limit'> {
  const { properties: send, excludeProperty: exclude, setProperty: override, limit } = flags
  return {
    properties: { ...(send && { send }), ...(exclude && { exclude }), ...(override && { override }) },
    ...(limit !== undefined && { limit }),
  }
}

function parseNames(text: string): NonNullable<PropertyOptions['send']> {
  if (text === 'all' || text === 'none') return text
  const names = text.split(',').map((name) => name.trim())
  if (names.every((name) => name !== '')) return names
  throw new InvalidArgumentError('Give all, none, or names with commas between them.')
}

function addName(name: string, before: string[] = []): string[] {
  return [...before, name]
}

function addSetting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Give NAME=VALUE.')
  return { ...before, [name]: value }
}

const reasons: Record<WhyLeftOut, string> = {
  'not-allowed': 'the receiving host does not let it in',
  never: 'no host takes it from another',
  'other-type': 'a dataset of that type has none',
  'bad-value': 'the receiving host knows no such value',
  refused: "the receiving host's ZFS does not take it",
  'not-understood': "the peer's version of flocker-zfs receives no properties",
}

/** A line for each property that a replica did not get. */
export function describeLeftOut(leftOut: readonly LeftOutProperty[]): string[] {
  return leftOut.map(({ name, why }) => `  without the property ${name}: ${reasons[why]}`)
}
