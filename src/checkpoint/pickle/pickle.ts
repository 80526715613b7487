import { at, pushAll } from '../../domain/lists';
import { limits } from '../limits';
import { judgeGlobal } from './globals';

/**
 * What a pickle describes, as plain data: names of types instead of types, descriptions of calls
 * instead of their results.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleFloat
  | PickleSequence
  | PickleDict
  | PickleGlobal
  | PickleObject
  | PicklePersistent;

/** Kept apart from integers: a size of 3.0 is no size. */
export interface PickleFloat {
  readonly kind: 'float';
  readonly value: number;
}

export interface PickleItems<Kind extends string> {
  readonly kind: Kind;
  readonly items: PickleValue[];
}

export type PickleSequence =
  PickleItems<'list'> | PickleItems<'tuple'> | PickleItems<'set'> | PickleItems<'frozenset'>;

export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A name of a class or function; never looked up. */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly module: string;
  readonly name: string;
}

/** What REDUCE, NEWOBJ, OBJ or INST would have made by calling `type` with `args`. */
export interface PickleObject {
  readonly kind: 'object';
  readonly type: PickleGlobal;
  readonly args: readonly PickleValue[];
  /** What BUILD hands to it. */
  state?: PickleValue;
  /** What APPEND or ADDITEMS put into it. */
  items?: PickleValue[];
  /** What SETITEM put into it. */
  entries?: Map<PickleValue, PickleValue>;
}

/** Something outside of the pickle: PyTorch's storages. */
export interface PicklePersistent {
  readonly kind: 'persistent';
  readonly id: PickleValue;
}

export interface Unpickled {
  readonly value: PickleValue;
  /** Bytes up to and including STOP. */
  readonly length: number;
  /** Everything that the pickle refers to outside of itself. */
  readonly persistent: readonly PicklePersistent[];
  /** Classes and functions that are not known, each once: `mytrain.config.Config`. */
  readonly unknown: readonly string[];
  /** Reasons why Python would execute something: `posix.system`. */
  readonly unsafe: readonly string[];
}

/** The bytes break the pickle format, or a bound. */
export class PickleError extends Error {
  constructor(
    readonly kind: 'malformed' | 'unsupported',
    message: string,
    /** What would have been executed up to the point where the pickle breaks. */
    readonly unsafe: readonly string[] = [],
  ) {
    super(message);
  }
}

/**
 * The bytes end before STOP: an error for a whole file, a reason to read on for the beginning of
 * one.
 */
export class PickleEnd extends PickleError {}

/**
 * Describes a pickle of protocol 0 to 5 without executing anything (the opcodes: CPython's
 * pickletools.py). Throws `PickleError`. `bytes` may be longer than the pickle.
 */
export function unpickle(bytes: Uint8Array): Unpickled {
  const machine = new Machine(bytes);
  try {
    return machine.run();
  } catch (error) {
    if (error instanceof PickleEnd) throw new PickleEnd(error.kind, error.message, machine.refusals());
    if (error instanceof PickleError) throw new PickleError(error.kind, error.message, machine.refusals());
    throw error;
  }
}

/** The kinds that are tagged records rather than plain values. */
export type PickleRecord = Extract<PickleValue, { readonly kind: string }>;

export function isKind<Kind extends PickleRecord['kind']>(
  value: PickleValue | undefined,
  kind: Kind,
): value is Extract<PickleRecord, { readonly kind: Kind }> {
  return isRecord(value) && value.kind === kind;
}

export function isRecord(value: PickleValue | undefined): value is PickleRecord {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

export function nameOf(type: PickleGlobal): string {
  return `${type.module}.${type.name}`;
}

const maxStack = 1_000_000;
const highestProtocol = 5;

class Machine {
  private readonly view: DataView;
  private readonly stack: PickleValue[] = [];
  /** Stack heights at each open MARK. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private readonly globals = new Map<string, PickleGlobal>();
  private readonly unknown = new Set<string>();
  private readonly unsafe = new Set<string>();
  private readonly references: PicklePersistent[] = [];
  private at = 0;
  private objects = 0;
  private items = 0;
  private opcode = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Unpickled {
    for (let count = 0; ; count++) {
      this.opcode = this.u8();
      if (this.opcode === 0x2e) break;
      const handler = handlers[this.opcode];
      if (!handler) throw this.unknownOpcode();
      handler(this);
      if (count > limits.pickleOpcodes) throw tooLarge(`more than ${limits.pickleOpcodes} opcodes`);
      if (this.stack.length + this.marks.length > maxStack)
        throw tooLarge(`a stack of more than ${maxStack} values`);
    }
    const value = this.pop();
    return {
      value,
      length: this.at,
      persistent: this.references,
      unknown: [...this.unknown],
      unsafe: this.refusals(),
    };
  }

  refusals(): string[] {
    return [...this.unsafe];
  }

  // -- bytes

  u8(): number {
    return at(this.bytes, this.take(1));
  }

  /** Moves past `length` bytes and gives the position where they began. */
  take(length: number): number {
    const start = this.at;
    if (length < 0) throw this.malformed(`a negative length (${length})`);
    if (start + length > this.bytes.length)
      throw new PickleEnd(
        'malformed',
        `the pickle is truncated: ${length} bytes at ${start} go beyond its end (${this.bytes.length} bytes), before STOP`,
      );
    this.at += length;
    return start;
  }

  block(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  u16 = () => this.view.getUint16(this.take(2), true);
  u32 = () => this.view.getUint32(this.take(4), true);
  i32 = () => this.view.getInt32(this.take(4), true);
  f64 = () => this.view.getFloat64(this.take(8), false);

  u64(): number {
    const length = this.view.getBigUint64(this.take(8), true);
    return Number(length);
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.take(this.bytes.length - this.at + 1);
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.at, end - this.at).toString(
      'latin1',
    );
    this.at = end + 1;
    return text;
  }

  text(length: number): string {
    const bytes = this.block(length);
    const text = decodeText(bytes);
    if (text === undefined)
      throw this.malformed(`a text (a name?) at byte ${this.at - length} is not valid UTF-8`);
    return text;
  }

  latin1(length: number): string {
    return Buffer.from(this.block(length)).toString('latin1');
  }

  frame(): void {
    const length = this.u64();
    if (this.at + length > this.bytes.length)
      throw new PickleEnd(
        'malformed',
        `a frame of ${length} bytes goes beyond the end of the pickle (${this.bytes.length} bytes)`,
      );
  }

  protocol(): void {
    const version = this.u8();
    if (version > highestProtocol)
      throw new PickleError('unsupported', `pickle protocol ${version}, 0 to ${highestProtocol} can be read`);
  }

  // -- stack

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.length > (this.marks.at(-1) ?? 0) ? this.stack.pop() : undefined;
    if (value === undefined) throw this.malformed('the stack is empty');
    return value;
  }

  top(): PickleValue {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  /** POP also takes away a MARK that lies on top. */
  drop(): void {
    if (this.marks.at(-1) === this.stack.length) this.marks.pop();
    else this.pop();
  }

  popMark(): PickleValue[] {
    const start = this.marks.pop();
    if (start === undefined) throw this.malformed('there is no MARK on the stack');
    return this.stack.splice(start);
  }

  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  put(index: number): void {
    if (!Number.isInteger(index) || index < 0) throw this.malformed(`memo index ${index}`);
    this.memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.memo.size);
  }

  get(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.malformed(`memo slot ${index} was never set`);
    this.push(value);
  }

  // -- values

  sequence(kind: PickleSequence['kind'], items: PickleValue[]): void {
    this.count();
    this.push({ kind, items } as PickleSequence);
  }

  dict(pairs: PickleValue[]): void {
    this.count(limits.pickleDictObjects);
    const dict: PickleDict = { kind: 'dict', entries: new Map() };
    this.fill(dict.entries, pairs);
    this.push(dict);
  }

  fill(entries: Map<PickleValue, PickleValue>, pairs: PickleValue[]): void {
    if (pairs.length % 2 !== 0) throw this.malformed('SETITEMS with an odd number of values');
    this.countItems((pairs.length / 2) * limits.pickleEntryItems);
    for (let index = 0; index < pairs.length; index += 2) {
      const [key, value] = [at(pairs, index), at(pairs, index + 1)];
      if (isKind(key, 'list') || isKind(key, 'dict') || isKind(key, 'set'))
        throw this.malformed(`a ${key.kind} as a key of a dict`);
      entries.set(key, value);
    }
  }

  setItems(pairs: PickleValue[]): void {
    const target = this.top();
    if (isKind(target, 'dict')) this.fill(target.entries, pairs);
    else if (isKind(target, 'object')) this.fill((target.entries ??= new Map()), pairs);
    else throw this.malformed('SETITEMS on something that is no dict');
  }

  append(items: PickleValue[]): void {
    this.countItems(items.length);
    const target = this.top();
    if (isKind(target, 'list') || isKind(target, 'set')) pushAll(target.items, items);
    else if (isKind(target, 'object')) pushAll((target.items ??= []), items);
    else throw this.malformed('APPENDS to something that is no list');
  }

  integer(text: string): PickleValue {
    if (text === '00' || text === '01') return text === '01';
    const digits = text.replace(/L$/, '');
    if (digits.length > limits.integerDigits)
      throw tooLarge(`an integer of ${digits.length} digits, at most ${limits.integerDigits} are allowed`);
    if (!/^\s*[-+]?\d+\s*$/.test(digits))
      throw this.malformed(`an integer written as ${JSON.stringify(digits.slice(0, 40))}`);
    return narrow(BigInt(digits.trim().replace(/^\+/, '')));
  }

  long(length: number): void {
    if (length > limits.integerBytes && this.at + length <= this.bytes.length)
      throw tooLarge(`an integer of ${length} bytes, at most ${limits.integerBytes} are allowed`);
    const hex = Buffer.from(this.block(length)).reverse().toString('hex');
    this.push(hex ? narrow(BigInt.asIntN(length * 8, BigInt(`0x${hex}`))) : 0);
  }

  // -- what would be calls

  global(module: string, name: string): PickleGlobal {
    const key = `${module}.${name}`;
    const seen = this.globals.get(key);
    if (seen) return seen;
    const verdict = judgeGlobal(module, name);
    if (verdict === 'unsafe') this.unsafe.add(key);
    else if (verdict !== 'known') this.unknown.add(key);
    this.count();
    const made: PickleGlobal = { kind: 'global', module, name };
    if (this.globals.size >= limits.pickleGlobals)
      throw tooLarge(`more than ${limits.pickleGlobals} names of classes and functions`);
    this.globals.set(key, made);
    return made;
  }

  stackGlobal(): void {
    const [module, name] = this.popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.malformed('STACK_GLOBAL with something that is no text');
    this.push(this.global(module, name));
  }

  /** `make`: NEWOBJ asks for a class; a function in its place fails in Python and is no harm. */
  call(type: PickleValue, args: readonly PickleValue[], make = false): void {
    this.count();
    if (!isKind(type, 'global')) {
      if (!isKind(type, 'object')) throw this.malformed('a call of something that is no class or function');
      this.unsafe.add(`a call of what ${nameOf(type.type)} returned`);
      return this.push({ kind: 'object', type: type.type, args });
    }
    if (!make && judgeGlobal(type.module, type.name) === 'function' && !isTypeOf(type, args))
      this.unsafe.add(`${nameOf(type)} (a function that is called)`);
    this.push({ kind: 'object', type, args });
  }

  reduce(): void {
    const args = this.pop();
    const type = this.pop();
    if (!isKind(args, 'tuple')) throw this.malformed('a call whose arguments are no tuple');
    this.call(type, args.items);
  }

  newObject(): void {
    const args = this.pop();
    const type = this.pop();
    if (!isKind(args, 'tuple')) throw this.malformed('a call whose arguments are no tuple');
    this.call(type, args.items, true);
  }

  newObjectEx(): void {
    this.pop();
    const args = this.pop();
    const type = this.pop();
    if (!isKind(args, 'tuple')) throw this.malformed('NEWOBJ_EX whose arguments are no tuple');
    this.call(type, args.items, true);
  }

  object(): void {
    const [type, ...args] = this.popMark();
    if (type === undefined) throw this.malformed('OBJ without a class');
    this.call(type, args);
  }

  build(): void {
    const state = this.pop();
    const target = this.top();
    if (isKind(target, 'object')) target.state = state;
    else if (!isRecord(target)) throw this.malformed('BUILD on a plain value');
  }

  extension(code: number): void {
    this.unsafe.add(`extension code ${code} (EXT: a global that is named outside of the file)`);
    this.push({ kind: 'global', module: 'copyreg', name: `extension ${code}` });
  }

  persistent(id: PickleValue): void {
    this.count();
    // PyTorch before 1.6 stores a module's class as ('module', class, source file, source text);
    // the source is not looked at.
    if (isKind(id, 'tuple') && id.items[0] === 'module' && isKind(id.items[1], 'global'))
      return this.push(id.items[1]);
    const reference: PicklePersistent = { kind: 'persistent', id };
    this.references.push(reference);
    this.push(reference);
  }

  unsupported(what: string): never {
    throw new PickleError('unsupported', what);
  }

  malformed(what: string): PickleError {
    return new PickleError(
      'malformed',
      `${what} (opcode 0x${this.opcode.toString(16)} of the pickle, before byte ${this.at})`,
    );
  }

  private unknownOpcode(): PickleError {
    const before = Buffer.from(this.bytes.subarray(Math.max(0, this.at - 24), this.at)).toString('latin1');
    const context = before.replace(/[^ -~]+/g, ' ').trim();
    return this.malformed(
      `unknown opcode 0x${this.opcode.toString(16).padStart(2, '0')}${context ? `, after "${context}"` : ''}`,
    );
  }

  private count(objects = 1): void {
    this.objects += objects;
    if (this.objects > limits.pickleObjects)
      throw tooLarge(
        `more than ${limits.pickleObjects} lists, dicts and objects (a dict counts as ${limits.pickleDictObjects})`,
      );
  }

  private countItems(items: number): void {
    this.items += items;
    if (this.items > limits.pickleItems)
      throw tooLarge(
        `more than ${limits.pickleItems} items in lists and dicts (an entry of a dict counts as ${limits.pickleEntryItems})`,
      );
  }
}

/** Opcode -> what it does; STOP is the loop's own. */
const handlers: Readonly<Record<number, (machine: Machine) => void>> = {
  // protocol 0
  [code('(')]: (m) => m.mark(),
  [code('0')]: (m) => m.drop(),
  [code('1')]: (m) => void m.popMark(),
  [code('2')]: (m) => m.push(m.top()),
  [code('F')]: (m) => m.push({ kind: 'float', value: Number(m.line()) }),
  [code('I')]: (m) => m.push(m.integer(m.line())),
  [code('L')]: (m) => m.push(m.integer(m.line())),
  [code('S')]: (m) => m.push(unquote(m, m.line())),
  [code('V')]: (m) => m.push(rawUnicodeEscape(m.line())),
  [code('N')]: (m) => m.push(null),
  [code('P')]: (m) => m.persistent(m.line()),
  [code('R')]: (m) => m.reduce(),
  [code('a')]: (m) => appendOne(m),
  [code('b')]: (m) => m.build(),
  [code('c')]: (m) => m.push(m.global(m.line(), m.line())),
  [code('d')]: (m) => m.dict(m.popMark()),
  [code('g')]: (m) => m.get(Number(m.line())),
  [code('i')]: (m) => m.call(m.global(m.line(), m.line()), m.popMark()),
  [code('l')]: (m) => m.sequence('list', m.popMark()),
  [code('p')]: (m) => m.put(Number(m.line())),
  [code('s')]: (m) => setOne(m),
  [code('t')]: (m) => m.sequence('tuple', m.popMark()),
  // protocol 1
  [code('G')]: (m) => m.push({ kind: 'float', value: m.f64() }),
  [code('J')]: (m) => m.push(m.i32()),
  [code('K')]: (m) => m.push(m.u8()),
  [code('M')]: (m) => m.push(m.u16()),
  [code('T')]: (m) => m.push(m.latin1(m.i32())),
  [code('U')]: (m) => m.push(m.latin1(m.u8())),
  [code('X')]: (m) => m.push(m.text(m.u32())),
  [code('Q')]: (m) => m.persistent(m.pop()),
  [code('e')]: (m) => m.append(m.popMark()),
  [code('h')]: (m) => m.get(m.u8()),
  [code('j')]: (m) => m.get(m.u32()),
  [code('o')]: (m) => m.object(),
  [code('q')]: (m) => m.put(m.u8()),
  [code('r')]: (m) => m.put(m.u32()),
  [code('u')]: (m) => m.setItems(m.popMark()),
  [code(']')]: (m) => m.sequence('list', []),
  [code(')')]: (m) => m.sequence('tuple', []),
  [code('}')]: (m) => m.dict([]),
  // protocol 2
  0x80: (m) => m.protocol(),
  0x81: (m) => m.newObject(),
  0x82: (m) => m.extension(m.u8()),
  0x83: (m) => m.extension(m.u16()),
  0x84: (m) => m.extension(m.i32()),
  0x85: (m) => m.sequence('tuple', m.popMany(1)),
  0x86: (m) => m.sequence('tuple', m.popMany(2)),
  0x87: (m) => m.sequence('tuple', m.popMany(3)),
  0x88: (m) => m.push(true),
  0x89: (m) => m.push(false),
  0x8a: (m) => m.long(m.u8()),
  0x8b: (m) => m.long(m.i32()),
  // protocol 3
  [code('B')]: (m) => m.push(m.block(m.u32())),
  [code('C')]: (m) => m.push(m.block(m.u8())),
  // protocol 4
  0x8c: (m) => m.push(m.text(m.u8())),
  0x8d: (m) => m.push(m.text(m.u64())),
  0x8e: (m) => m.push(m.block(m.u64())),
  0x8f: (m) => m.sequence('set', []),
  0x90: (m) => m.append(m.popMark()),
  0x91: (m) => m.sequence('frozenset', m.popMark()),
  0x92: (m) => m.newObjectEx(),
  0x93: (m) => m.stackGlobal(),
  0x94: (m) => m.memoize(),
  0x95: (m) => m.frame(),
  // protocol 5
  0x96: (m) => m.push(m.block(m.u64())),
  0x97: (m) => m.unsupported('NEXT_BUFFER: an out-of-band buffer (opcode 0x97) that is not part of the file'),
  0x98: (m) => m.push(m.pop()),
};

/** `type(None)`: how CPython writes the types of its constants. Three would make a class. */
function isTypeOf({ module, name }: PickleGlobal, args: readonly PickleValue[]): boolean {
  return name === 'type' && /^(builtins|__builtin__)$/.test(module) && args.length === 1;
}

function appendOne(machine: Machine): void {
  const item = machine.pop();
  machine.append([item]);
}

function setOne(machine: Machine): void {
  const pair = machine.popMany(2);
  machine.setItems(pair);
}

function code(sign: string): number {
  return sign.charCodeAt(0);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function tooLarge(what: string): PickleError {
  return new PickleError(
    'unsupported',
    `the pickle has ${what}: too large for the description of a checkpoint`,
  );
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '0': '\0',
};

/** Throws if a text is too long to be unescaped: every escape costs many times its length. */
function requireShort(text: string): void {
  if (text.length > limits.pickleEscaped)
    throw tooLarge(`a text of ${text.length} characters with escapes (at most ${limits.pickleEscaped})`);
}

/** STRING holds Python 2's repr: quotes around, backslash escapes inside. */
function unquote(machine: Machine, text: string): string {
  requireShort(text);
  const inner = /^'(.*)'$|^"(.*)"$/s.exec(text.trim());
  if (!inner) throw machine.malformed('a STRING without quotes');
  return (inner[1] ?? inner[2] ?? '').replace(
    /\\(x([0-9a-fA-F]{2})|.)/gs,
    (_all, sign: string, hex?: string) =>
      hex ? String.fromCharCode(parseInt(hex, 16)) : (escapes[sign] ?? `\\${sign}`),
  );
}

/** UNICODE is latin-1 with \uXXXX for the rest (raw-unicode-escape). */
function rawUnicodeEscape(text: string): string {
  requireShort(text);
  return text.replace(/\\u([0-9a-fA-F]{4})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * UTF-8 as Python writes it: with `surrogatepass`, so that a lone surrogate is three bytes. Nothing
 * if it is not even that.
 */
function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeSurrogates(bytes);
  }
}

function decodeSurrogates(bytes: Uint8Array): string | undefined {
  let text = '';
  let done = 0;
  for (let at = 0; at + 2 < bytes.length; at++) {
    const [first, second = 0, third = 0] = bytes.subarray(at, at + 3);
    if (first !== 0xed || second < 0xa0 || second > 0xbf || (third & 0xc0) !== 0x80) continue;
    const before = decodeStrictly(bytes.subarray(done, at));
    if (before === undefined) return undefined;
    text += before + String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
    done = at + 3;
    at += 2;
  }
  const rest = done > 0 ? decodeStrictly(bytes.subarray(done)) : undefined;
  return rest === undefined ? undefined : text + rest;
}

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
