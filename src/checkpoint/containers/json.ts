import { limits } from '../limits';

/** The text is no JSON, or nests too deeply; `message` says where. */
export class JsonError extends Error {}

const plainText = /[^"\\\u0000-\u001f]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

/**
 * A strict pull parser for headers that JSON.parse is too lenient for: it keeps the order and the
 * repetition of keys, tells `96` from `96.0`, and never builds the whole tree of a header with
 * 200 000 entries.
 */
export class JsonScanner {
  private at = 0;

  constructor(private readonly text: string) {}

  /**
   * Calls `entry` for every key of the object that comes next; `entry` must consume the key's
   * value.
   */
  object(entry: (key: string) => void): void {
    this.expect('{');
    if (this.maybe('}')) return;
    do {
      const key = this.string();
      this.expect(':');
      entry(key);
    } while (this.maybe(','));
    this.expect('}');
  }

  /**
   * The value that comes next. Numbers written with a fraction or an exponent become strings: no
   * size or offset is written so.
   */
  value(depth = 0): unknown {
    if (depth > limits.jsonDepth) throw new JsonError(`is nested more than ${limits.jsonDepth} levels deep`);
    const next = this.peek();
    if (next === '"') return this.string();
    if (next === '[') return this.array(depth);
    if (next === '{') {
      const entries: [string, unknown][] = [];
      this.object((key) => entries.push([key, this.value(depth + 1)]));
      return Object.fromEntries(entries);
    }
    return this.scalar();
  }

  /** Characters read so far: where an error was found. */
  get position(): number {
    return this.at;
  }

  peek(): string | undefined {
    while (isBlank(this.text.charCodeAt(this.at))) this.at++;
    return this.text[this.at];
  }

  end(): void {
    if (this.peek() !== undefined) throw this.unexpected('the end');
  }

  private array(depth: number): unknown[] {
    this.expect('[');
    const items: unknown[] = [];
    if (this.maybe(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.maybe(','));
    this.expect(']');
    return items;
  }

  private scalar(): unknown {
    number.lastIndex = this.at;
    const digits = number.exec(this.text)?.[0];
    if (digits) {
      this.at += digits.length;
      return /^-?\d+$/.test(digits) ? Number(digits) : digits;
    }
    const word = Object.keys(words).find((candidate) => this.text.startsWith(candidate, this.at));
    if (!word) throw this.unexpected('a value');
    this.at += word.length;
    return words[word];
  }

  private string(): string {
    this.expect('"');
    const start = this.at;
    plainText.lastIndex = start;
    plainText.exec(this.text);
    this.at = plainText.lastIndex;
    if (this.text[this.at] === '"') return this.text.slice(start, this.at++);
    return this.escapedString(start);
  }

  /**
   * The slow way, for a string with escapes: finds its end and leaves the decoding to JSON.parse.
   */
  private escapedString(start: number): string {
    while (this.text[this.at] === '\\') {
      plainText.lastIndex = this.at + 2;
      plainText.exec(this.text);
      this.at = plainText.lastIndex;
    }
    if (this.text[this.at] !== '"') throw this.unexpected('the end of a string');
    const literal = this.text.slice(start - 1, ++this.at);
    try {
      return JSON.parse(literal) as string;
    } catch {
      throw new JsonError(`has a string with a wrong escape at character ${start}`);
    }
  }

  private maybe(sign: string): boolean {
    if (this.peek() !== sign) return false;
    this.at++;
    return true;
  }

  private expect(sign: string): void {
    if (!this.maybe(sign)) throw this.unexpected(`"${sign}"`);
  }

  private unexpected(wanted: string): JsonError {
    const found = this.text[this.at];
    return new JsonError(
      `is no valid JSON: at character ${this.at} there is ${found === undefined ? 'the end' : JSON.stringify(found)} instead of ${wanted}`,
    );
  }
}

/** JSON's four blanks; a byte order mark is none. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/**
 * Parses an object (index.json, config.json). Throws `JsonError` if the text is something else
 * or nests too deeply.
 */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> {
  if (nestingOf(text) > limits.jsonDepth)
    throw new JsonError(`is nested more than ${limits.jsonDepth} levels deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new JsonError(`is no valid JSON: ${whereInvalid(text) ?? (error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new JsonError(
      `holds ${value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`} instead of a JSON object`,
    );
  return value as Record<string, unknown>;
}

/** Where a text stops being JSON, as an editor counts; the engine's own message seldom says it. */
function whereInvalid(text: string): string | undefined {
  const scanner = new JsonScanner(text);
  try {
    scanner.value();
    scanner.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const before = text.slice(0, scanner.position).split('\n');
    const found = text.slice(scanner.position).match(/^[\w.+-]+|^./su)?.[0];
    return `invalid at line ${before.length}, column ${(before.at(-1) ?? '').length + 1}: ${found === undefined ? 'the text ends there' : JSON.stringify(found.slice(0, 20))}`;
  }
}

/**
 * Deepest level of brackets outside of strings; checked before parsing, because whoever walks or
 * clones the result recurses.
 */
function nestingOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/gs)) {
    if (token === '[' || token === '{') deepest = Math.max(deepest, ++depth);
    else if (token === ']' || token === '}') depth--;
  }
  return deepest;
}
