// Runs the host tests in the extension host of VS Code's server, which a headless browser opens.
import { openWorkbench } from '../browser/workbench';

/** A run that says nothing for so long has lost its extension host. */
const silenceMilliseconds = 120_000;
/** What index.ts puts before each line; VS Code adds its own decoration before that. */
const marked = /suite\| (.*)/;
const summary = /^##vitrine-summary (\{.*\})/;

async function main(): Promise<number> {
  const suite = watchSuite();
  const workbench = await openWorkbench({ suite: { path: 'dist/test/host', onLine: suite.onLine } });
  try {
    return await suite.failures;
  } finally {
    await workbench.close();
  }
}

/** Prints the lines of the suite and waits for the one that sums it up. */
function watchSuite(): { onLine: (line: string) => void; failures: Promise<number> } {
  const { promise: failures, resolve, reject } = deferred<number>();
  let timer = setTimeout(() => undefined, 0);
  const onLine = (line: string): void => {
    clearTimeout(timer);
    timer = setTimeout(
      () => reject(new Error(`no word from the extension host for ${silenceMilliseconds / 1000} s`)),
      silenceMilliseconds,
    );
    const text = line.match(marked)?.[1];
    if (text === undefined) return;
    console.log(text);
    const found = text.match(summary)?.[1];
    if (found) {
      clearTimeout(timer);
      resolve((JSON.parse(found) as { failed: number }).failed);
    }
  };
  return { onLine, failures };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

main().then(
  (failures) => process.exit(failures > 0 ? 1 : 0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
