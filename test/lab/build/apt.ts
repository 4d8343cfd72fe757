/** A private apt: its own sources, lists and cache in one directory, so that it needs no root and leaves the machine's alone. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AptSource, type Mirrors, parseDeb822, parseOneLine, pickMirrors } from './apt-sources.js'
import { type CommandOptions, run } from './command.js'
import { type Available, type Chosen, type Suite, stem } from './pins.js'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** What every step of a build needs to run commands. */
export type StepOptions = Pick<CommandOptions, 'log' | 'signal'>

/** An apt of our own, whose lists are up to date. */
export class PrivateApt {
  private constructor(
    readonly config: string,
    readonly options: StepOptions,
  ) {}

  /** Sets it up in `directory` (made if missing) and fetches the lists of the given suites. */
  static async open(directory: string, suites: readonly Suite[], options: StepOptions): Promise<PrivateApt> {
    for (const part of ['state/lists/partial', 'cache/archives/partial', 'empty']) {
      await mkdir(join(directory, part), { recursive: true })
    }
    const config = join(directory, 'apt.conf')
    await writeFile(join(directory, 'sources.list'), sourcesList(pickMirrors(await readMachineSources()), suites))
    await writeFile(config, aptConfig(directory))
    await run('apt-get', ['-c', config, '-qq', 'update'], {
      ...options,
      what: 'fetching the lists of packages',
      deadline: 180_000,
    })
    return new PrivateApt(config, options)
  }

  /** Every version of the named packages in the suites' lists, newest first; for one that is gone, those of its kin. */
  async versions(packages: readonly string[]): Promise<Available[]> {
    const found = await this.#madison(packages)
    const kin: string[] = []
    for (const gone of packages.filter((name) => !found.some((entry) => entry.package === name))) {
      const names = await this.#cache('pkgnames', stem(gone))
      kin.push(...names.split('\n').filter((name) => name !== '' && stem(name) === stem(gone)))
    }
    return kin.length === 0 ? found : [...found, ...(await this.#madison(kin))]
  }

  async #madison(packages: readonly string[]): Promise<Available[]> {
    return parseMadison(await this.#cache('madison', ...new Set(packages)))
  }

  #cache(...words: string[]): Promise<string> {
    return run('apt-cache', ['-c', this.config, ...words], {
      ...this.options,
      what: 'reading the lists of packages',
      deadline: 60_000,
    })
  }

  /** Downloads packages into a directory and returns their files. */
  async download(chosen: readonly Chosen[], directory: string): Promise<string[]> {
    await mkdir(directory, { recursive: true })
    const words = chosen.map((entry) => `${entry.package}=${entry.version}`)
    const options = { ...this.options, what: 'downloading packages', cwd: directory, deadline: 15 * 60_000 }
    await run('apt-get', ['-c', this.config, '-q', 'download', ...words], options)
    return (await readdir(directory)).filter((file) => file.endsWith('.deb')).map((file) => join(directory, file))
  }
}

/** Parses `apt-cache madison`: `package | version | address suite/component architecture Packages`. */
export function parseMadison(text: string): Available[] {
  return text.split('\n').flatMap((line) => {
    const [name, version, where] = line.split('|').map((part) => part.trim())
    const suite = /^\S+ ([^/\s]+)\//.exec(where ?? '')?.[1]
    return name && version && suite ? [{ package: name, version, suite }] : []
  })
}

/** The private sources.list; bookworm brings its security and updates suites with it. */
export function sourcesList(mirrors: Mirrors, suites: readonly Suite[]): string {
  const line = (uri: string, suite: string) => `deb [signed-by=${KEYRING}] ${uri} ${suite} main contrib\n`
  return [...new Set(suites)]
    .map((suite) => {
      if (suite !== 'bookworm') return line(mirrors.archive, suite)
      const security = line(mirrors.security, 'bookworm-security')
      return line(mirrors.archive, suite) + line(mirrors.archive, 'bookworm-updates') + security
    })
    .join('')
}

function aptConfig(directory: string): string {
  const settings = {
    'Dir::State': join(directory, 'state'),
    'Dir::Cache': join(directory, 'cache'),
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': join(directory, 'empty'),
    'Dir::Etc::preferences': join(directory, 'no-preferences'),
    'Dir::Etc::preferencesparts': join(directory, 'empty'),
    // The sandbox user could not write into a directory of the caller's.
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    // A suite that can't be fetched is an error, rather than packages that seem to be gone.
    'APT::Update::Error-Mode': 'any',
  }
  const cleared = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success']
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
  return cleared.map((name) => `#clear ${name};\n`).join('') + lines.join('')
}

async function readMachineSources(): Promise<AptSource[]> {
  const parts = '/etc/apt/sources.list.d'
  const files = ['/etc/apt/sources.list', ...(await ifThere(readdir(parts), [])).map((file) => join(parts, file))]
  const read = files.map(async (file) => {
    if (file.endsWith('.sources')) return parseDeb822(await ifThere(readFile(file, 'utf8'), ''))
    return file.endsWith('.list') ? parseOneLine(await ifThere(readFile(file, 'utf8'), '')) : []
  })
  return (await Promise.all(read)).flat()
}

/** A machine may lack any of these files, and may keep one readable to root alone. */
async function ifThere<T>(reading: Promise<T>, otherwise: T): Promise<T> {
  return reading.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'EACCES') return otherwise
    throw error
  })
}
