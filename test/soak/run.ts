// npm run soak -- [RUNS] [ROWS]: what so many runs of the panel and rows of a batch leave in the
// process that asks and in the one that runs the model. Fails above the limit.
import { leftBehind } from './memory';

/** Bytes that any number of requests may leave. */
const most = 20e6;

async function main(runs: number, rows: number): Promise<void> {
  const started = performance.now();
  const { host, child, listeners } = await leftBehind(runs, rows);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `${runs} runs and ${rows} rows in ${seconds} s left ${megabytes(host)} in the host, ${megabytes(child)} in its child, ${listeners} listeners`,
  );
  if (host > most || child > most || listeners > 0) process.exitCode = 1;
}

const [runs = '2000', rows = '20000'] = process.argv.slice(2);
void main(Number(runs), Number(rows));
