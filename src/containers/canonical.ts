/** placeholder until the planner's branch is merged */
import type { Application } from './application.js'
export function differences(a: Application, b: Application): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof Application>
  return [...keys].filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]))
}
