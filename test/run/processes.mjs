// Child processes that end when we do, with everything they started.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const windows = process.platform === 'win32';
const graceMilliseconds = 3000;

/** Services that are still up; they go down with this process, however it ends. */
const running = new Set();
process.on('exit', () => running.forEach((child) => signalGroup(child, 'SIGTERM')));

/**
 * Turns the signals that end a run into an exit, which takes the services down. Each process of the
 * tests that starts services of its own calls it, because a group that is signalled does not hold
 * the groups below it.
 */
export function endOnSignals() {
  for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
    process.once(signal, () => process.exit(128 + number));
  }
}

/** @param {import('node:child_process').ChildProcess} child @param {NodeJS.Signals} signal */
function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    if (windows) spawn('taskkill', ['/pid', String(child.pid), '/T', '/F']);
    else process.kill(-child.pid, signal);
  } catch {
    // the group is gone already
  }
}

/** npm is a script on Windows, which only a shell can start. @param {string} command */
const needsShell = (command) => windows && command === 'npm';

/**
 * Runs a command to its end with its output shown.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export async function run(command, args, options = {}) {
  const status = await exitStatus(
    spawn(command, args, { stdio: 'inherit', shell: needsShell(command), ...options }),
  );
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} ended with status ${status}`);
}

/**
 * Runs a command to its end and gives what it wrote; on failure the error holds the end of its
 * output.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<string>} standard output
 */
export async function capture(command, args, options = {}) {
  const child = spawn(command, args, {
    shell: needsShell(command),
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.on('data', (chunk) => (output += chunk));
  child.stderr?.on('data', (chunk) => (errors += chunk));
  const status = await exitStatus(child);
  if (status === 0) return output;
  throw new Error(
    `${[command, ...args].join(' ')} ended with status ${status}\n${(output + errors).slice(-2000)}`,
  );
}

/**
 * Runs a command and hands over its output line by line.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {(line: string) => void} onLine
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number | string>} exit status, or the signal that ended it
 */
export function follow(command, args, onLine, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: !windows });
  running.add(child);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', onLine);
  }
  return exitStatus(child, 'close').finally(() => running.delete(child));
}

/**
 * Starts a long-lived process in a group of its own and waits for the line that says it is ready.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RegExp} ready a line of its output
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<{match: RegExpMatchArray, ended: Promise<number | string>, stop: () =>
 * Promise<void>}>}
 */
export async function startService(command, args, ready, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: !windows });
  running.add(child);
  const ended = exitStatus(child).finally(() => running.delete(child));
  /** @type {string[]} */
  const output = [];
  const match = await new Promise((resolve, reject) => {
    /** @param {string} line */
    const onLine = (line) => {
      output.push(line);
      const found = line.match(ready);
      if (found) resolve(found);
    };
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', onLine);
    }
    ended.then(
      (status) =>
        reject(new Error(`${command} ended with status ${status}\n${output.slice(-20).join('\n')}`)),
      reject,
    );
  });
  return { match, ended, stop: () => stopService(child, ended) };
}

/** @param {import('node:child_process').ChildProcess} child @param {Promise<unknown>} ended */
async function stopService(child, ended) {
  signalGroup(child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMilliseconds);
  await ended.catch(() => undefined);
  clearTimeout(timer);
  signalGroup(child, 'SIGKILL'); // grandchildren that outlived the leader of their group
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {'exit' | 'close'} [event] `close` also waits for the rest of the output
 * @returns {Promise<number | string>}
 */
function exitStatus(child, event = 'exit') {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once(event, (code, signal) => resolve(code ?? signal));
  });
}
