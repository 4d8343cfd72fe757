/** What HAProxy's runtime API answers, read. Pure. */

/** A connection or request that a backend has in hand, as `show sess` names it. */
export interface Session {
  /** What `shutdown session` takes. */
  readonly id: string
  readonly backend: string
  readonly server: string
}

export function parseSessions(text: string): Session[] {
  return text.split('\n').flatMap((line) => {
    const [, id, backend, server] = /^(0x[0-9a-f]+): proto=\S+ .*?\bbe=(\S+) srv=(\S+) /.exec(line) ?? []
    return id && backend && server ? [{ id, backend, server }] : []
  })
}

/** How many sessions each server of each backend has, by `backend/server`, from `show stat`. */
export function parseCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  const [header = '', ...lines] = text.split('\n')
  const column = header.replace(/^# /, '').split(',').indexOf('scur')
  for (const line of lines) {
    const fields = line.split(',')
    if (fields.length > column && column > 0) counts.set(`${fields[0]}/${fields[1]}`, Number(fields[column]))
  }
  return counts
}

/** How many wait for each route, by its key, from the Lua script's `flocker show`. */
export function parseWaiting(text: string): Map<string, number> {
  const lines = text.split('\n').map((line) => line.split(' '))
  return new Map(lines.flatMap(([key, count]) => (key && count ? [[key, Number(count)] as const] : [])))
}
