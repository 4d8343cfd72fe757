/**
 * Errors over the wire. A {@link FlockerError} keeps its class, code, errno, dataset and next step. Anything else is a fault of
 * ours whose text may hold paths or worse: the peer gets a reference that finds it in the log here, and nothing more.
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { z } from 'zod'
import * as errors from '../errors.js'
import { FlockerError } from '../errors.js'

/** The classes that can be rebuilt on the other side; those with one code of their own take no code. */
const coded = {
  AddonError: errors.AddonError,
  ZfsError: errors.ZfsError,
  StreamError: errors.StreamError,
  TransportError: errors.TransportError,
  ReplicationError: errors.ReplicationError,
  OwnershipError: errors.OwnershipError,
  ContainerError: errors.ContainerError,
  RoutingError: errors.RoutingError,
  FlockerError,
}
const single = {
  INVALID_ARGUMENT: errors.ArgumentError,
  NOT_SUPPORTED: errors.NotSupportedError,
  NOT_AUTHORIZED: errors.NotAuthorizedError,
  DIVERGED: errors.DivergedError,
  TIMEOUT: errors.TimeoutError,
  ABORTED: errors.AbortError,
}

const text = (limit: number) => z.string().max(limit)
const has = <T extends object>(table: T, key: string): key is Extract<keyof T, string> => Object.hasOwn(table, key)

export const wireErrorSchema = z.object({
  class: text(64),
  code: z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/),
  message: text(8192),
  errno: z.int().nonnegative().optional(),
  dataset: text(1024).optional(),
  peer: text(63).optional(),
  next: text(2048).optional(),
})

/** An error as JSON. */
export type WireError = z.infer<typeof wireErrorSchema>

/** The message without the next step, which the constructor appends. */
function sentence({ message, next }: FlockerError): string {
  const tail = next === undefined ? '' : `\n  ${next}`
  return message.endsWith(tail) ? message.slice(0, message.length - tail.length) : message
}

const cut = (value: string, limit: number): string => (value.length <= limit ? value : `${value.slice(0, limit - 1)}…`)

/**
 * An error as it may be shown to a peer: never a stack, a cause, or the text of an error that this package did not make.
 * @param logger where an unknown error goes in full, under the reference that the peer gets
 */
export function toWire(error: unknown, logger?: Logger): WireError {
  if (!(error instanceof FlockerError)) {
    const reference = randomBytes(6).toString('hex')
    logger?.error({ err: error, reference }, 'internal error, told to the peer by its reference only')
    return {
      class: 'FlockerError',
      code: 'INTERNAL',
      message: `Internal error, reference ${reference}`,
      next: 'Look for the reference in the log of the host that this happened on.',
    }
  }
  const { code, errno, dataset, peer, next } = error
  return {
    class:
      Object.entries(coded).find(([, Class]) => Class !== FlockerError && error instanceof Class)?.[0] ??
      'FlockerError',
    code,
    message: cut(sentence(error), 8192),
    ...(errno === undefined ? {} : { errno }),
    ...(dataset === undefined ? {} : { dataset: cut(dataset, 1024) }),
    ...(peer === undefined ? {} : { peer: cut(peer, 63) }),
    ...(next === undefined ? {} : { next: cut(next, 2048) }),
  }
}

/** The error that a peer told of, with `peer` set to that peer unless it named another. */
export function fromWire(wire: WireError, peer: string): FlockerError {
  const { code, message, errno, dataset, next } = wire
  const details = { errno, dataset, next, peer: wire.peer ?? peer }
  if (has(single, code)) return new single[code](message, details)
  const Class = has(coded, wire.class) ? coded[wire.class] : FlockerError
  return new Class(code, message, details)
}
