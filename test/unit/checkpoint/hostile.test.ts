// Every broken and hostile checkpoint of test/fixtures/hostile, opened in a child process that is
// measured and may be killed. The images among the cases belong to the tests of the decoder.
import assert from 'node:assert/strict';
import { fork, execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeSync,
  closeSync,
  realpathSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { skip } from '../../support/skip';
import type { HostileReply, HostileRequest } from './hostileChild';
import { largeFiles } from './hostileLarge';

interface HostileCase {
  readonly id: string;
  readonly file: string;
  readonly format: string;
  readonly what: string;
  readonly expect: HostileReply['outcome'];
  readonly also_accept?: readonly HostileReply['outcome'][];
  readonly must_mention: readonly string[];
  readonly setup?: readonly Setup[];
  readonly recipe?: readonly {
    readonly hex?: string;
    readonly text?: string;
    readonly truncate_to?: number;
  }[];
  readonly made?: 'large';
}

type Setup =
  | { readonly do: 'mkdir' | 'mkfifo'; readonly path: string }
  | { readonly do: 'symlink'; readonly path: string; readonly to: string }
  | { readonly do: 'chmod'; readonly path: string; readonly mode: string }
  | ({ readonly do: 'after open' } & NonNullable<HostileRequest['afterOpen']>);

const folder = resolve('test/fixtures/hostile');
const files = join(folder, 'files');
const cases = (JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as HostileCase[]).filter(
  ({ format }) => format !== 'image',
);

/**
 * Their table is sound; what is wrong with them is seen when the architecture is recognised, and is
 * tested there.
 */
const soundTables = new Set(
  ['vit-without-patch-embed', 'vit-layer-missing', 'vit-shape-conflict', 'vit-pos-embed-not-square'].map(
    (name) => `general/${name}.safetensors`,
  ),
);

const killMilliseconds = 5000;
const growthLimit = 64e6;
const largeGrowthLimit = 256e6;

describe('hostile checkpoints', function () {
  this.timeout(60_000);
  let room: string;
  let child: Child | undefined;

  before(() => {
    room = realpathSync(mkdtempSync(join(tmpdir(), 'vitrine-hostile-')));
    // Readable for the unprivileged process that tries the file without permission.
    chmodSync(room, 0o755);
  });

  after(async () => {
    await child?.stop();
    rmSync(room, { recursive: true, force: true });
  });

  for (const hostile of cases) {
    it(`${hostile.file}: ${hostile.what}`, async function () {
      const file = prepare(room, hostile);
      const needsUser = hostile.setup?.some((step) => step.do === 'chmod');
      if (needsUser || hostile.made) await child?.stop();
      if (needsUser || !child?.alive) child = await startChild(room, needsUser);
      if (!child) skip(this, 'root may read every file, and no unprivileged process can be started here');
      const reply = await child.ask({ file, ...afterOpen(hostile) });
      if (needsUser || hostile.made) await child.stop();
      verify(hostile, file, reply);
    });
  }
});

function verify(hostile: HostileCase, file: string, reply: HostileReply): void {
  const accepted = soundTables.has(hostile.file)
    ? ['opens']
    : [hostile.expect, ...(hostile.also_accept ?? [])];
  assert.ok(
    accepted.includes(reply.outcome),
    `${reply.outcome}: ${reply.text}; accepted: ${accepted.join(', ')}`,
  );
  const said = reply.text.toLowerCase();
  for (const mention of reply.text === '' ? [] : hostile.must_mention)
    assert.ok(
      mention
        .toLowerCase()
        .split('|')
        .some((word) => said.includes(word)),
      `"${reply.text}" mentions none of ${mention}`,
    );
  if (reply.outcome === 'refused')
    assert.ok(
      reply.text.includes(basename(dirname(file))) || reply.text.includes(basename(file)),
      `"${reply.text}" does not name the file`,
    );
  assert.ok(!reply.canary, 'the payload was executed');
  const outside = reply.opened.filter(
    (path) => path !== file && !(path + sep).startsWith(dirname(file) + sep),
  );
  assert.deepEqual(outside, [], 'files outside of its folder were opened');
  const limit = hostile.made ? largeGrowthLimit : growthLimit;
  assert.ok(
    reply.growthBytes <= limit,
    `memory grew by ${Math.round(reply.growthBytes / 1e6)} MB, at most ${limit / 1e6} are allowed`,
  );
}

/**
 * The path to open: in the fixtures, or a copy of its folder in `room` where something must be done
 * to it first.
 */
function prepare(room: string, hostile: HostileCase): string {
  if (!hostile.setup && !hostile.recipe && !hostile.made) return join(files, hostile.file);
  const place = join(room, hostile.id);
  const source = dirname(join(files, hostile.file));
  const ownFolder = hostile.file.split('/').length > 2;
  if (ownFolder) cpSync(source, place, { recursive: true, verbatimSymlinks: true });
  else mkdirSync(place, { recursive: true });
  const file = join(place, basename(hostile.file));
  const changed = hostile.setup?.some((step) => step.do === 'chmod' || step.do === 'after open');
  if ((changed && !ownFolder) || hostile.id.startsWith('onnx/external'))
    cpSync(join(files, hostile.file), file);
  if (hostile.recipe) writeRecipe(file, hostile.recipe);
  if (hostile.made) largeFiles[hostile.file]!(file, (name) => readFileSync(join(files, name)));
  for (const step of hostile.setup ?? []) setUp(place, step);
  return file;
}

function writeRecipe(file: string, recipe: NonNullable<HostileCase['recipe']>): void {
  const handle = openSync(file, 'w');
  for (const { hex, text } of recipe)
    if (hex ?? text) writeSync(handle, hex ? Buffer.from(hex, 'hex') : Buffer.from(text!));
  closeSync(handle);
  for (const { truncate_to } of recipe) if (truncate_to !== undefined) truncateSync(file, truncate_to);
}

function setUp(place: string, step: Setup): void {
  if (step.do === 'mkdir') mkdirSync(join(place, step.path), { recursive: true });
  else if (step.do === 'mkfifo') execFileSync('mkfifo', [join(place, step.path)]);
  else if (step.do === 'symlink') symlinkSync(step.to, join(place, step.path));
  else if (step.do === 'chmod') chmodSync(join(place, step.path), parseInt(step.mode, 8));
}

function afterOpen({ setup }: HostileCase): Pick<HostileRequest, 'afterOpen'> {
  const step = setup?.find((candidate) => candidate.do === 'after open');
  return step ? { afterOpen: step } : {};
}

interface Child {
  readonly alive: boolean;
  ask(request: HostileRequest): Promise<HostileReply>;
  stop(): Promise<void>;
}

const nobody = 65_534;

/**
 * Starts a process in an empty folder; as an unprivileged user where permissions matter. Nothing
 * where that is not possible.
 */
async function startChild(room: string, unprivileged = false): Promise<Child | undefined> {
  const cwd = mkdtempSync(join(room, 'cwd-'));
  chmodSync(cwd, 0o777);
  const isRoot = process.getuid?.() === 0;
  const child = fork(join(__dirname, 'hostileChild.js'), {
    cwd,
    execArgv: ['--expose-gc', '--max-semi-space-size=4'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    ...(unprivileged && isRoot ? { uid: nobody, gid: nobody } : {}),
  });
  const ready = await Promise.race([once(child, 'message'), once(child, 'exit'), once(child, 'error')]);
  return ready[0] === 'ready' ? watched(child) : undefined;
}

function watched(child: ChildProcess): Child {
  return {
    get alive() {
      return child.connected;
    },
    async ask(request) {
      const timer = setTimeout(() => child.kill('SIGKILL'), killMilliseconds);
      const asked = new AbortController();
      const { signal: over } = asked;
      const gone = once(child, 'exit', { signal: over }).then(
        ([, signal]) => `the process ended (${String(signal)}) within ${killMilliseconds} ms`,
      );
      const reply = once(child, 'message', { signal: over }).then(([message]) => message as HostileReply);
      child.send(request);
      const result = await Promise.race([reply, gone]);
      clearTimeout(timer);
      // What was not needed listens no longer: one child answers hundreds of questions.
      void Promise.allSettled([reply, gone]);
      asked.abort();
      if (typeof result === 'string') throw new Error(result);
      return result;
    },
    async stop() {
      if (!child.connected) return;
      const exit = once(child, 'exit');
      child.disconnect();
      child.kill();
      await exit;
    },
  };
}
