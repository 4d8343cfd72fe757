/** `flocker-zfs certs`: the cluster's CA and its hosts' certificates. */
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createCa, createHostCertificate } from '../transport/certificates.js'

const DIRECTORY = './certs'

function days(text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) throw new InvalidArgumentError('Give a whole number of days.')
  return Number(text)
}

const collect = (value: string, before: string[]): string[] => [...before, value]

function print(json: boolean | undefined, facts: Record<string, unknown>, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${lines.join('\n')}\n`)
}

function initCommand(): Command {
  return new Command('init')
    .description("create the cluster's CA; keep its key off the hosts that replicate")
    .option('-d, --directory <directory>', 'where the CA is written', DIRECTORY)
    .option('--name <name>', "the CA's name, for people")
    .option('--days <days>', 'how long it is valid (default: 3650)', days)
    .option('--json', 'print JSON')
    .action(async (options: { directory: string; name?: string; days?: number; json?: boolean }) => {
      const { directory, name, json } = options
      await createCa(directory, {
        ...(name === undefined ? {} : { name }),
        ...(options.days === undefined ? {} : { days: options.days }),
      })
      const facts = { certificate: resolve(directory, 'ca.pem'), key: resolve(directory, 'ca.key') }
      const next = `flocker-zfs certs host NAME --address ADDRESS --directory ${directory}`
      print(json, facts, [`CA certificate  ${facts.certificate}`, `CA key          ${facts.key}`, `Next: ${next}`])
    })
}

function hostCommand(): Command {
  return new Command('host')
    .description('create the certificate and key of one host')
    .argument('<name>', "the host's name in the cluster, which authorisation rules use")
    .option('-a, --address <address>', 'a DNS name or IP address at which others dial it; repeat for more', collect, [])
    .option('-d, --directory <directory>', 'where the CA is', DIRECTORY)
    .option('-o, --out <directory>', 'where the files are written (default: NAME in the directory of the CA)')
    .option('--days <days>', 'how long it is valid (default: 825)', days)
    .option('--json', 'print JSON')
    .action(
      async (
        name: string,
        options: { address: string[]; directory: string; out?: string; days?: number; json?: boolean },
      ) => {
        const out = options.out ?? join(options.directory, name)
        await createHostCertificate(options.directory, out, {
          identity: name,
          addresses: options.address,
          ...(options.days === undefined ? {} : { days: options.days }),
        })
        const facts = { identity: name, addresses: options.address, directory: resolve(out) }
        const lines = [`Credentials of ${name}  ${facts.directory}`]
        if (options.address.length === 0) {
          lines.push('It names no address: others can only dial this host if they say which identity they expect.')
        }
        lines.push(
          `Next: copy ${out} (ca.pem, host.pem, host.key) to ${name}; the key stays readable by its owner only.`,
        )
        print(options.json, facts, lines)
      },
    )
}

/** The `certs` sub-command. Failures are thrown as {@link ArgumentError} for the program to print. */
export function certsCommand(): Command {
  return new Command('certs')
    .description("create the cluster's CA and its hosts' certificates")
    .addCommand(initCommand())
    .addCommand(hostCommand())
}
