/** Every benchmark, in the order in which they run. */
import type { Benchmark } from './frame/benchmark.js'
import { framing } from './micro/framing.js'
import { nvlist } from './micro/nvlist.js'
import { parser } from './micro/parser.js'
import { planner } from './micro/planner.js'
import { transfers } from './scale/transfers.js'
import { wire } from './wire/index.js'

export const benchmarks: readonly Benchmark[] = [nvlist, planner, parser, framing, wire, transfers]
