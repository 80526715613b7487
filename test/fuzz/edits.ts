// What a file is changed by: small plain records, so that a failure is kept as its seed and its
// edits, and made smaller by leaving edits out.

/** One change of a file of a case. */
export type Edit =
  /** Of JSON (a config, a header): the value at the place that this number chooses. */
  | { readonly kind: 'value'; readonly place: number; readonly value: unknown }
  | { readonly kind: 'drop'; readonly place: number }
  | { readonly kind: 'rename'; readonly place: number; readonly to: string }
  /** Of bytes: places are shares of the length. */
  | { readonly kind: 'byte'; readonly place: number; readonly value: number }
  | { readonly kind: 'cut'; readonly place: number; readonly length: number }
  | { readonly kind: 'repeat'; readonly place: number; readonly length: number; readonly times: number }
  | { readonly kind: 'insert'; readonly place: number; readonly hex: string };

type Random = () => number;

const pick = <T>(random: Random, list: readonly T[]): T | undefined =>
  list[Math.floor(random() * list.length)];

/** Values that no field expects, and such as are just beside what it may hold. */
const nastyValues: readonly unknown[] = [
  ...[0, 1, -1, 2, 3, 7, 0.5, 1e308, 2 ** 31 - 1, 2 ** 53, -(2 ** 31), 65_537, 1e-9],
  ...['', 'none', '../..', '__proto__', 'constructor', '\u001b[2J\u202e=1+1', 'x'.repeat(5000)],
  ...[null, true, false, [], {}, [[]], [0], [1, 'a'], [3, 1e9, 1e9], { a: { b: [] } }],
];
const nastyNames = ['', '__proto__', 'blocks.99999999.x', 'a'.repeat(3000), '.', '0', 'weight', '\r\n'];
const nastyBytes = [
  'ffffffffffffffff',
  '00000000',
  '7fffffff',
  '80808080808080808001',
  '2e',
  '28',
  '8c',
  '0a',
];

/** Draws an edit of JSON or of bytes. */
export function drawEdit(random: Random, of: 'json' | 'bytes'): Edit {
  const place = random();
  const kind = Math.floor(random() * (of === 'json' ? 5 : 4));
  if (of === 'json') {
    if (kind === 0) return { kind: 'drop', place };
    if (kind === 1) return { kind: 'rename', place, to: pick(random, nastyNames) ?? '' };
    return { kind: 'value', place, value: pick(random, nastyValues) };
  }
  const length = 1 + Math.floor(random() ** 4 * 4096);
  if (kind === 0) return { kind: 'byte', place, value: Math.floor(random() * 256) };
  if (kind === 1) return { kind: 'cut', place, length };
  if (kind === 2) return { kind: 'repeat', place, length, times: 1 + Math.floor(random() ** 6 * 2000) };
  return { kind: 'insert', place, hex: pick(random, nastyBytes) ?? '' };
}

type Holder = Record<string, unknown>;

/** Every field of a value, and of what it holds. */
function fieldsOf(value: unknown): readonly (readonly [holder: Holder, key: string])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    [value as Holder, key] as const,
    ...fieldsOf((value as Holder)[key]),
  ]);
}

const ownProperty = { enumerable: true, configurable: true, writable: true };

/** Applies edits of JSON to a value that is changed. */
export function editJson(value: unknown, edits: readonly Edit[]): unknown {
  for (const edit of edits) {
    const fields = fieldsOf(value);
    const field = fields[Math.floor(edit.place * fields.length)];
    if (!field) continue;
    const [holder, key] = field;
    if (edit.kind === 'value') holder[key] = structuredClone(edit.value);
    if (edit.kind === 'rename')
      // Defined, because an assignment to __proto__ is none.
      Object.defineProperty(holder, edit.to, { value: holder[key], ...ownProperty });
    if (edit.kind === 'drop' || edit.kind === 'rename') Reflect.deleteProperty(holder, key);
  }
  return value;
}

/** Most bytes that a file is made of: what a limit is worth shows with less. */
const mostBytes = 4_000_000;

/** Applies edits of bytes. */
export function editBytes(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let edited = Buffer.from(bytes);
  for (const edit of edits) {
    const at = Math.floor(edit.place * edited.length);
    const [before, behind] = [edited.subarray(0, at), edited.subarray(at)];
    if (edit.kind === 'byte') edited[at] = edit.value;
    if (edit.kind === 'cut') edited = Buffer.concat([before, behind.subarray(edit.length)]);
    if (edit.kind === 'insert') edited = Buffer.concat([before, Buffer.from(edit.hex, 'hex'), behind]);
    if (edit.kind === 'repeat') {
      const part = behind.subarray(0, edit.length);
      const times = Math.min(edit.times, Math.floor(mostBytes / Math.max(1, part.length)));
      edited = Buffer.concat([before, ...Array<Buffer>(times).fill(part), behind]);
    }
  }
  return edited;
}
