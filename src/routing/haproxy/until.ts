export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

const ASK_MILLISECONDS = 20

/** Asks again and again until it is so; false where the time was over first. */
export async function until(isSo: () => Promise<boolean>, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (!(await isSo())) {
    if (performance.now() > deadline) return false
    await sleep(ASK_MILLISECONDS)
  }
  return true
}
