// node dist/test/fuzz/try.js FILE...: takes files through all that a file can be asked, and prints
// what became of each, a line of JSON.
import { Trials } from './watched';

async function main(files: readonly string[]): Promise<void> {
  const trials = new Trials();
  for (const file of files) {
    const { outcome, text, milliseconds, growthBytes } = await trials.try(file);
    const [milli, mega] = [Math.round(milliseconds), Math.round(growthBytes / 1e6)];
    console.log(JSON.stringify({ file, outcome, milliseconds: milli, megabytes: mega, text }));
  }
  await trials.stop();
}

void main(process.argv.slice(2));
