import type { LabProcess } from './host.js'

const dayMilliseconds = 86_400_000

/** A process's standard output line by line, until it closes; however long a line may take. */
export async function* lines(process: LabProcess): AsyncGenerator<string> {
  for (
    let line = await process.nextLine(dayMilliseconds);
    line !== null;
    line = await process.nextLine(dayMilliseconds)
  ) {
    yield line
  }
}
