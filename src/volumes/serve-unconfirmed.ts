import { alone, type VolumesHost } from './context.js'
import { keepServing, recordOf, serve } from './custody.js'
import { checkOwner } from './ownership.js'

/** Serves a volume that this host owns by its own record, without asking the hosts that could have been promoted meanwhile. */
export async function serveUnconfirmed(host: VolumesHost, dataset: string): Promise<void> {
  await alone(host, dataset, async () => {
    const record = await recordOf(dataset)
    checkOwner(record, host.identity)
    if (record.journal === undefined) await serve(host, dataset, record)
    else await keepServing(host, dataset)
  })
}
