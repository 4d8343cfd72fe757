/** Every benchmark, in the order in which they run. */
import { embedded } from './embedded/index.js'
import type { Benchmark } from './frame/benchmark.js'
import { hosts } from './hosts/index.js'
import { slowDisks } from './hosts/slow-disks.js'
import { framing } from './micro/framing.js'
import { nvlist } from './micro/nvlist.js'
import { parser } from './micro/parser.js'
import { planner } from './micro/planner.js'
import { handoff } from './scale/handoff.js'
import { listing } from './scale/listing.js'
import { rotation } from './scale/rotation.js'
import { transfers } from './scale/transfers.js'
import { wire } from './wire/index.js'

export const benchmarks: readonly Benchmark[] = [
  ...[nvlist, planner, parser, framing],
  ...[wire, embedded, hosts, slowDisks],
  ...[transfers, rotation, listing, handoff],
]
