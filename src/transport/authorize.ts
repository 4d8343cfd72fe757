/** Who may do what with which dataset: a pure decision. What no rule allows is refused. */
import { z } from 'zod'
import { ArgumentError, NotAuthorizedError } from '../errors.js'

/**
 * `inspect`: list replicas and their snapshots. `receive`: write replicas here, give one another name, and make empty parents for
 * them. `rollback`: destroy a replica's newest snapshots, and what was written since. `send`: list datasets, take snapshots here and
 * read their data. `own`: hand volumes to this host, ask this host for them, and own them after a promotion: whoever may `own` a volume is
 * trusted to be the one that writes it. `run`: have applications of that name started and stopped here, from any image and with any rights
 * that the container engine gives, and say where their clients are led: whoever may `run` is trusted with this machine.
 */
export const VERBS = ['inspect', 'receive', 'rollback', 'send', 'own', 'run'] as const
/** What a peer may be allowed to do: read what there is, take snapshots in, roll replicas back, be sent snapshots, own volumes, run applications. */
export type Verb = (typeof VERBS)[number]

/** What one peer may do with which datasets. */
export interface Rule {
  /** The peer's identity, from its certificate. */
  peer: string
  verbs: readonly Verb[]
  /**
   * Full names of datasets on this host: `tank/a` is that dataset alone, `tank/a/*` each of its children, `tank/a/**` itself and
   * everything below.
   */
  datasets: readonly string[]
  /**
   * Properties that the peer may also give to what it makes here with `receive`, of those that are each host's own affair, such as
   * `quota` or `mountpoint`. Full names. docs/push.md
   */
  properties?: readonly string[] | undefined
}

const rulesSchema = z.array(
  z.strictObject({
    peer: z.string(),
    verbs: z.array(z.enum(VERBS)),
    datasets: z.array(z.string()),
    properties: z.array(z.string()).optional(),
  }),
)

/**
 * Reads rules that come from outside, such as from a JSON file.
 * @throws ArgumentError `INVALID_ARGUMENT`, which says what is wrong with them
 */
export function parseRules(value: unknown): Rule[] {
  const parsed = rulesSchema.safeParse(value)
  if (!parsed.success) {
    throw new ArgumentError(`These are not authorisation rules: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    })
  }
  checkRules(parsed.data)
  return parsed.data
}

/** Characters of a dataset's name (zfsprops(7)): no `*`, so that a pattern is never a name. */
const COMPONENT = /^[A-Za-z0-9][A-Za-z0-9_.: -]*$/

const components = (name: string): string[] => name.split('/')
const valid = (names: readonly string[]): boolean => names.length > 0 && names.every((name) => COMPONENT.test(name))

/**
 * Checks rules where they come from, before they are used.
 * @throws {ArgumentError} if a verb or a dataset pattern is not one
 */
export function checkRules(rules: readonly Rule[]): void {
  for (const { peer, verbs, datasets } of rules) {
    const verb = verbs.find((name) => !VERBS.includes(name))
    if (verb !== undefined)
      throw new ArgumentError(`A rule for ${peer} has the unknown verb ${JSON.stringify(verb)}`, {
        next: `Verbs are ${VERBS.join(', ')}.`,
      })
    const pattern = datasets.find((name) => !valid(components(name.replace(/\/\*\*?$/, ''))))
    if (pattern === undefined) continue
    throw new ArgumentError(`A rule for ${peer} has the bad dataset pattern ${JSON.stringify(pattern)}`, {
      next: "Give full dataset names; a pattern may only end in '/*' (one level) or '/**' (the whole tree).",
    })
  }
}

function matches(pattern: string, dataset: readonly string[]): boolean {
  const tree = pattern.endsWith('/**')
  const child = !tree && pattern.endsWith('/*')
  const base = components(tree ? pattern.slice(0, -3) : child ? pattern.slice(0, -2) : pattern)
  if (!base.every((name, index) => dataset[index] === name)) return false
  return tree ? dataset.length >= base.length : dataset.length === base.length + (child ? 1 : 0)
}

/** Whether a rule allows it. `dataset` is a filesystem's or volume's full name, without a snapshot. */
export function isAuthorized(rules: readonly Rule[], peer: string, verb: Verb, dataset: string): boolean {
  return rulesFor(rules, peer, verb, dataset).length > 0
}

/** Whether one rule allows it of a dataset and of everything below it, whatever that is called. */
export function isAuthorizedBelow(rules: readonly Rule[], peer: string, verb: Verb, dataset: string): boolean {
  const names = components(dataset)
  return rules.some(
    (rule) =>
      rule.peer === peer &&
      rule.verbs.includes(verb) &&
      rule.datasets.some((pattern) => pattern.endsWith('/**') && matches(pattern, names)),
  )
}

/** Whether a rule lets the peer bring a property that is held back otherwise, to what it may make here. */
export function mayBring(rules: readonly Rule[], peer: string, dataset: string, property: string): boolean {
  return rulesFor(rules, peer, 'receive', dataset).some(({ properties }) => properties?.includes(property))
}

function rulesFor(rules: readonly Rule[], peer: string, verb: Verb, dataset: string): Rule[] {
  const names = components(dataset)
  // A name that ZFS would not take is refused here too: nothing that merely looks like an allowed one gets through.
  if (!valid(names)) return []
  return rules.filter(
    (rule) =>
      rule.peer === peer && rule.verbs.includes(verb) && rule.datasets.some((pattern) => matches(pattern, names)),
  )
}

/**
 * Throws unless a rule allows it. The message repeats what was asked and says nothing else: not whether the dataset exists, nor
 * what is allowed.
 * @throws {NotAuthorizedError}
 */
export function authorize(rules: readonly Rule[], peer: string, verb: Verb, dataset: string): void {
  if (isAuthorized(rules, peer, verb, dataset)) return
  throw new NotAuthorizedError(`${peer} may not ${verb} ${JSON.stringify(dataset)} on this host`, {
    next: `If it should, allow it there: { peer: '${peer}', verbs: ['${verb}'], datasets: [...] }.`,
  })
}
