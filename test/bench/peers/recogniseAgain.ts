// From tensor names to the family, again and again in one process: recogniseAgain.js FILE prints
// the milliseconds of each time. The first compiles the code.
import { recognise } from '../../../src/architectures/recognise/recognise';
import { openCheckpoint } from '../../../src/checkpoint/open';

const times = 15;

async function main(path: string): Promise<void> {
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    const checkpoint = await openCheckpoint(path);
    const started = performance.now();
    const { family } = recognise(checkpoint);
    taken.push(performance.now() - started);
    if (!family) throw new Error(`${path} was not recognised`);
  }
  console.log(JSON.stringify(taken));
}

void main(process.argv[2]!);
