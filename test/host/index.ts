// What VS Code loads as its test runner: the same suite in the server's extension host and in a
// desktop VS Code.
import { runSuite } from '../support/runMocha';

/**
 * Tells the suite's lines from what VS Code itself writes to the console; inServer.ts looks for it.
 */
const mark = 'suite| ';

/** Called by VS Code inside the extension host; a rejection is a failed run. */
export async function run(): Promise<void> {
  const failures = await runSuite(__dirname, {
    timeout: '60000',
    print: (line) => console.log(mark + line),
  });
  if (failures > 0) throw new Error(`${failures} tests failed`);
}
