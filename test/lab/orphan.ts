/** Opens a lab, prints its directory and then ends otherwise than it should: a program for the harness's own test. */
import { openLab } from './index.js'

async function main(): Promise<void> {
  const lab = await openLab({ hosts: [{ name: 'one' }, { name: 'two', profile: 'oldest' }] })
  console.log(lab.directory)
  if (process.argv[2] === 'uncaught') {
    setTimeout(() => {
      throw new Error('on purpose')
    }, 300)
  }
  await lab.host('one').run(['sleep', '1000'], { timeoutMilliseconds: 60_000 })
}

void main()
