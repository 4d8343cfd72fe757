/** What a benchmark finds out, as it lies in bench/results/NAME.json: raw samples, and what is needed to read them. */
import { z } from 'zod'

const measure = z.strictObject({
  /** The key of its values in samples. */
  key: z.string(),
  label: z.string(),
  unit: z.string(),
  /** What is wanted of it. */
  better: z.enum(['more', 'less']),
  /** A limit that was promised; drawn and judged. */
  limit: z.number().optional(),
})

/** One round's values, by measure. */
const sample = z.record(z.string(), z.number())

const row = z.strictObject({
  label: z.string(),
  /** Where it is on the axis of a section that has one. */
  x: z.number().optional(),
  /** In the order of the rounds: what has the same index was measured one right after the other. */
  samples: z.array(sample),
  /** Why there are no samples, or no more of them. */
  missing: z.string().optional(),
})

/** A ratio that was promised: of our row to another, by the median of the rounds. */
const goal = z.strictObject({
  measure: z.string(),
  to: z.string(),
  atLeast: z.number().optional(),
  atMost: z.number().optional(),
})

const section = z.strictObject({
  title: z.string(),
  /** How it was measured, and what the figures leave out. */
  about: z.string(),
  measures: z.array(measure).min(1),
  rows: z.array(row),
  /** With an axis, rows of the same label are one line. */
  axis: z.string().optional(),
  /** The row that the others are compared with, round by round. */
  ours: z.string().optional(),
  goals: z.array(goal).optional(),
})

const environment = z.strictObject({
  cpu: z.string(),
  cores: z.number(),
  memoryBytes: z.number(),
  kernel: z.string(),
  /** Of Node.js, OpenSSL, OpenZFS and whatever else took part. */
  versions: z.record(z.string(), z.string()),
  commit: z.string(),
  date: z.string(),
  /** Processes that wanted a core just before, averaged over a minute: far above 0, the machine was not idle. */
  load: z.number(),
})

export const resultSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  title: z.string(),
  /** Taken with small sizes and few rounds, to try the benchmark itself. */
  quick: z.boolean(),
  seconds: z.number(),
  environment,
  sections: z.array(section),
})

export type Measure = z.infer<typeof measure>
export type Goal = z.infer<typeof goal>
export type Sample = z.infer<typeof sample>
export type Row = z.infer<typeof row>
export type Section = z.infer<typeof section>
export type Environment = z.infer<typeof environment>
export type Result = z.infer<typeof resultSchema>
