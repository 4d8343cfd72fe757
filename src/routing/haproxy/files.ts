/** The files that HAProxy reads, in a directory that is the router's. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bellAddress, CONFIG_FILE, type ConfigOptions, formatConfig } from './config.js'
import { LUA_FILE, luaScript } from './lua.js'
import { formatTable, parseTable, TABLE_FILE, type Table } from './table.js'

/** Makes the directory where it is missing, and reads the routes that an earlier router has left there. */
export async function readFiles(directory: string): Promise<Table> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const text = await readFile(join(directory, TABLE_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return parseTable(text)
}

/** Writes what a HAProxy that starts now is to do. */
export async function writeFiles(table: Table, options: ConfigOptions): Promise<void> {
  const files = {
    [LUA_FILE]: luaScript({
      ...options,
      bell: bellAddress(options),
      table: join(options.directory, TABLE_FILE),
    }),
    [TABLE_FILE]: formatTable(table),
    [CONFIG_FILE]: formatConfig(table, options),
  }
  for (const [name, text] of Object.entries(files)) {
    const path = join(options.directory, name)
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
}
