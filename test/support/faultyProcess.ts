// The inference process, one of whose calls goes wrong: VITRINE_FAULT names a file that holds which
// one, counted from 0, and how: `3 fails` or `3 ends`. The file goes with the fault, so that each
// happens once, in whichever process its call is.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Packet } from '../../src/protocol/channel';

const { VITRINE_FAULT: file = '' } = process.env;
const [left = '0', kind] = readFault();
let before = Number(left);

function readFault(): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split(' ');
  } catch {
    return [];
  }
}

const emit = process.emit.bind(process) as (event: string, ...values: unknown[]) => boolean;
process.emit = ((event: string, ...values: unknown[]): boolean => {
  const packet = event === 'message' ? (values[0] as Packet) : undefined;
  if (packet?.kind !== 'call' || kind === undefined || before-- !== 0) return emit(event, ...values);
  rmSync(file);
  if (kind === 'ends') process.exit(1);
  const failure = { name: 'Error', message: 'an injected fault', data: {} };
  process.send?.({ kind: 'reply', id: packet.id, error: failure } satisfies Packet);
  return true;
}) as typeof process.emit;

// eslint-disable-next-line @typescript-eslint/no-require-imports -- after its listener is there
require(join(__dirname, '..', '..', 'process.js'));
