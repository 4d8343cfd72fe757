/**
 * Runs the tests and closes with `N passed, N failed`: unit tests here, test/zfs inside a lab host of each profile, test/hosts
 * over several lab hosts, test/containers inside a lab host with each container engine, test/conformance on the kernel of each profile and on the embedded engine of each release. Files run
 * side by side, two more than there are cores, each of test/hosts for one and a half, or for two with container engines, but for those named `*.alone.test.ts`, which measure and run by themselves, last. Those
 * named `*.each.test.ts` run once for each release of the embedded engine; those named `*.either.test.ts`, whose subject is what runs on
 * it, in turn with one or the other, and with each where FLOCKER_ZFS_RELEASES=all or a pattern asks for it. Every file has a deadline.
 * With FLOCKER_ZFS_LAB=local (a machine that has /dev/zfs, as root) hosts are this machine itself; then `*.lab.test.ts` are left out,
 * which need two kernels, power cuts or a cable. `*.planes.test.ts` run with each combination of two hosts' data planes.
 *
 * Several kernels and many processes share few cores: a deadline can pass that is long enough elsewhere. What fails beside others is run
 * once more by itself, in the end, and that counts. Its first failure is printed in full and named before the sum: it is a fault, of the
 * test or of what it tests, to be looked into.
 *
 *     node build/test/run.js [PATTERN ...]     only files whose label contains a pattern
 */
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { releases } from './embedded/engine.js'
import { killGroup } from './lab/build/command.js'

interface Job {
  label: string
  argv: string[]
  env?: Record<string, string>
  alone: boolean
  /** Of those that run side by side, how many it counts for: several kernels keep more than one core busy. */
  weight: number
}

interface Counts {
  passed: number
  failed: number
}

interface Outcome extends Counts {
  label: string
  /** The name and the error's first line of each test that failed, or how the file ended. */
  failures: string[]
}

const fileMilliseconds = 12 * 60_000
/** How long what a test file has started may hold its output when the file has ended: lab hosts need a moment to see that. */
const outliveMilliseconds = 20_000
const local = process.env.FLOCKER_ZFS_LAB === 'local'
const eachRelease = process.env.FLOCKER_ZFS_RELEASES === 'all'
const profiles = local ? ['newest'] : ['newest', 'oldest']
const planes = ['auto', 'javascript']
const here = __dirname
/** Files of test/hosts whose hosts run container engines. */
const withEngines = /^(deploy|engines|examples|move)\b/

async function main(): Promise<void> {
  const patterns = process.argv.slice(2)
  // The longest ones first, so that short ones fill what is left over at the end.
  const all = [
    ...(await filesIn('hosts')),
    ...(await filesIn('embedded', eachRelease || patterns.length > 0)),
    ...(local ? [] : await jobsOn('in-engine-host.js', 'containers', ['docker', 'podman'], (kind) => kind)),
    ...(await guestJobs('zfs')),
    ...(await guestJobs('conformance')),
    ...(await engineJobs('conformance')),
    ...(await filesIn('routing')),
    ...(await filesIn('unit')).flatMap(withPlanes),
  ]
  const jobs = all.filter(({ label }) => patterns.length === 0 || patterns.some((pattern) => label.includes(pattern)))
  const outcomes: Outcome[] = []
  const again: { job: Job; failures: string[] }[] = []
  const run = async (job: Job): Promise<void> => {
    const outcome = await runJob(job)
    const { failures } = outcome
    if (failures.length > 0) again.push({ job, failures })
    else outcomes.push(outcome)
  }
  // Most files wait for something most of the time: a slow link, a power cut, a deadline.
  const beside = jobs.filter(({ alone }) => !alone)
  await sideBySide(beside, availableParallelism() + 2, run)
  for (const job of jobs.filter(({ alone }) => alone)) await run(job)
  for (const { job } of again) outcomes.push(await runJob(job))
  console.log('')
  for (const { job, failures } of again) {
    console.log(`${job.label} failed beside others, and was run again by itself: ${failures.join('; ')}`)
  }
  conclude(outcomes)
}

/** Runs them in their order, but for those that would not fit beside what runs: no more than that weight at a time. */
async function sideBySide(jobs: readonly Job[], most: number, run: (job: Job) => Promise<void>): Promise<void> {
  const queue = [...jobs]
  const running = new Set<Promise<void>>()
  let free = most
  while (queue.length > 0 || running.size > 0) {
    const next = queue.findIndex(({ weight }) => weight <= free)
    const [job] = next < 0 ? [] : queue.splice(next, 1)
    if (job === undefined) {
      await Promise.race(running)
      continue
    }
    free -= job.weight
    const done = run(job).finally(() => {
      free += job.weight
      running.delete(done)
    })
    running.add(done)
  }
}

/** What failed, in short, so that nobody has to look for it; and the sum. */
function conclude(outcomes: readonly Outcome[]): void {
  for (const { label, failures } of outcomes) for (const each of failures) console.log(`FAILED ${label}: ${each}`)
  const total = (key: 'passed' | 'failed'): number => outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
  process.exitCode = total('failed') > 0 || outcomes.length === 0 ? 1 : 0
  console.log(`${total('passed')} passed, ${total('failed')} failed`)
}

async function testFiles(directory: string): Promise<string[]> {
  const names = await readdir(join(here, directory))
  return names.filter((name) => name.endsWith('.test.js') && !(local && name.endsWith('.lab.test.js'))).sort()
}

async function filesIn(directory: string, withEach = true): Promise<Job[]> {
  const names = await testFiles(directory)
  const eithers = names.filter((name) => name.includes('.either.'))
  return names.flatMap((name) => {
    const weight = directory === 'hosts' ? (withEngines.test(name) ? 2 : 1.5) : 1
    const job = {
      label: `${directory}/${name}`,
      argv: [join(here, directory, name)],
      alone: name.includes('.alone.'),
      weight,
    }
    const turn = eithers.indexOf(name)
    if (turn < 0 && !name.includes('.each.')) return [job]
    const chosen = releases.filter((_, i) => turn < 0 || withEach || i === turn % releases.length)
    return chosen.map((release) => ({ ...job, label: `${job.label} (${release})`, env: { TEST_RELEASE: release } }))
  })
}

function withPlanes(job: Job): Job[] {
  if (!job.label.includes('.planes.')) return [job]
  return planes.flatMap((near) =>
    planes.map((far) => ({ ...job, label: `${job.label} (${near}, ${far})`, env: { TEST_PLANES: `${near} ${far}` } })),
  )
}

async function guestJobs(directory: string): Promise<Job[]> {
  return jobsOn('in-guest.js', directory, profiles, (profile) => profile)
}

async function engineJobs(directory: string): Promise<Job[]> {
  return jobsOn('in-engine.js', directory, releases, (release) => `embedded ${release}`)
}

/** Each file of a directory on each of some OpenZFSes, by a program that takes which one it is and the file. */
async function jobsOn(
  program: string,
  directory: string,
  kinds: readonly string[],
  label: (kind: string) => string,
): Promise<Job[]> {
  const names = await testFiles(directory)
  return kinds.flatMap((kind) =>
    names.map((name) => ({
      label: `${directory}/${name} (${label(kind)})`,
      argv: [join(here, program), kind, `test/${directory}/${name}`],
      alone: name.includes('.alone.'),
      weight: 1,
    })),
  )
}

async function runJob({ label, argv, env }: Job): Promise<Outcome> {
  const started = performance.now()
  const { output, ended } = await runNode(argv, env)
  const counts = readCounts(output)
  const crashed = ended !== 'status 0' && (counts === undefined || counts.failed === 0)
  const failures = readFailures(output)
  if (crashed || counts === undefined) failures.push(`ended with ${ended}`)
  const { passed, failed } = counts ?? { passed: 0, failed: 0 }
  const outcome = { label, passed, failed: failed + (crashed || counts === undefined ? 1 : 0), failures }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `${outcome.failed === 0 ? 'ok  ' : 'FAIL'} ${label}: ${outcome.passed} passed, ${outcome.failed} failed, ${seconds} s`,
  )
  if (outcome.failed > 0) console.log(`${output.trimEnd()}\n     (ended with ${ended})\n`)
  else
    for (const line of output.split('\n').filter((text) => text.startsWith('measured: '))) console.log(`       ${line}`)
  return outcome
}

/**
 * A test file's process leads its own group, so that its deadline ends whatever it has started. What has left the group and still holds the
 * file's output after it is a fault of the file, and not waited for.
 */
function runNode(argv: string[], env: Record<string, string> = {}): Promise<{ output: string; ended: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', ...argv], {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let deadline = ''
    let outlived = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const timer = setTimeout(() => {
      deadline = `its deadline of ${fileMilliseconds / 1000} s`
      killGroup(child.pid)
    }, fileMilliseconds)
    let patience: NodeJS.Timeout | undefined
    child.once('error', reject)
    child.once('exit', () => {
      clearTimeout(timer)
      patience = setTimeout(() => {
        outlived = ', and something that it started outlives it'
        killGroup(child.pid)
        child.stdout.destroy()
        child.stderr.destroy()
      }, outliveMilliseconds)
    })
    child.once('close', (status, signal) => {
      clearTimeout(patience)
      resolve({ output, ended: `${deadline || (signal ?? `status ${status}`)}${outlived}` })
    })
  })
}

/** Reads the summary that uvu prints when a file is done. */
function readCounts(output: string): Counts | undefined {
  const summary = /^\s*Total:\s+(\d+)\s+Passed:\s+(\d+)/m.exec(stripVTControlCharacters(output))
  if (summary === null) return undefined
  const passed = Number(summary[2])
  return { passed, failed: Number(summary[1]) - passed }
}

/** Reads which tests uvu says have failed, and why. */
function readFailures(output: string): string[] {
  const failed = /^\s*FAIL {2}"(.*)"\n\s*(.*)/gm
  return [...stripVTControlCharacters(output).matchAll(failed)].map(([, name, why]) => `${name}: ${why}`)
}

void main()
