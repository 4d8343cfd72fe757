import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LabError } from './errors.js'
import { cacheDirectory, checkout } from './paths.js'

const run = promisify(execFile)

interface Recipe {
  sources: string[]
  headers: string[]
  flags: string[]
}

const recipes = {
  agent: {
    sources: ['guest/agent.c', 'guest/process.c', 'guest/buffer.c', 'guest/setup.c'],
    headers: ['guest/protocol.h', 'guest/process.h', 'guest/buffer.h'],
    flags: ['-static'],
  },
  power: { sources: ['outside/power.c'], headers: [], flags: [] },
  switch: {
    sources: ['outside/switch.c', 'outside/lanes.c', 'outside/frame.c'],
    headers: ['outside/lanes.h', 'outside/frame.h'],
    flags: [],
  },
} satisfies Record<string, Recipe>

/** The paths of the lab's own programs. */
export type Tools = Record<keyof typeof recipes, string>

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Compiles one program into the cache, under a name that changes with its source; nothing to do where it is there already. */
async function build(name: string, recipe: Recipe): Promise<string> {
  const locate = (file: string) => join(checkout, 'test', 'lab', file)
  const hash = createHash('sha256').update(JSON.stringify(recipe.flags))
  for (const file of [...recipe.sources, ...recipe.headers]) hash.update(await readFile(locate(file)))
  const directory = join(cacheDirectory(), 'tools')
  const program = join(directory, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (await exists(program)) return program
  await mkdir(directory, { recursive: true })
  const unfinished = `${program}.${process.pid}`
  const compiler = process.env.CC ?? 'cc'
  try {
    const flags = ['-std=gnu17', '-O2', '-Wall', '-Wextra', ...recipe.flags]
    await run(compiler, [...flags, '-o', unfinished, ...recipe.sources.map(locate)])
  } catch (cause) {
    await rm(unfinished, { force: true })
    const next = 'A C compiler and the static C library are needed: apt-get install gcc libc6-dev'
    throw new LabError('TOOL_BUILD_FAILED', `compiling the lab's ${name} failed`, { cause, next })
  }
  await rename(unfinished, program)
  return program
}

let prepared: Promise<Tools> | undefined

/** Compiles what is not compiled yet; once in a process, however many labs it opens. */
export function prepareTools(): Promise<Tools> {
  prepared ??= compileTools().catch((error) => {
    prepared = undefined
    throw error
  })
  return prepared
}

async function compileTools(): Promise<Tools> {
  const [agent, power, switchProgram] = await Promise.all([
    build('agent', recipes.agent),
    build('power', recipes.power),
    build('switch', recipes.switch),
  ])
  return { agent, power, switch: switchProgram }
}
