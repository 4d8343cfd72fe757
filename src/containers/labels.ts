/** What we write on a container, so that it is known to be ours, and everything about it can be read back from the engine. */
import { type Application, applicationSchema } from './application.js'

export const labelNames = {
  /** The identity of the host that has started it: two hosts on one engine leave each other's alone. */
  host: 'flocker-zfs.host',
  /** Since which epoch its host owns the volume, of one that has a volume: what an earlier ownership has left is not started again. */
  epoch: 'flocker-zfs.epoch',
  /** The application's description, as JSON. */
  application: 'flocker-zfs.application',
} as const

/** The labels of an application's container. */
export function labelsFor(application: Application, host: string, epoch: bigint): Record<string, string> {
  return {
    [labelNames.host]: host,
    [labelNames.epoch]: String(epoch),
    [labelNames.application]: JSON.stringify(application),
  }
}

/** What {@link labelsFor} wrote. */
export function epochOf(labels: Readonly<Record<string, string>> | null | undefined): bigint {
  const text = labels?.[labelNames.epoch] ?? ''
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n
}

/** The application that a container was made for, if it is one of this host's, and the labels were not tampered with. */
export function applicationOf(
  labels: Readonly<Record<string, string>> | null | undefined,
  host: string,
): Application | undefined {
  const text = labels?.[labelNames.application]
  if (text === undefined || labels?.[labelNames.host] !== host) return undefined
  return readApplication(text)
}

/** An application from JSON; `undefined` where it is none. */
export function readApplication(text: string): Application | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  const parsed = applicationSchema.safeParse(value)
  return parsed.success ? parsed.data : undefined
}
