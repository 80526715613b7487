// Field cases: files as people have them, in folders `cases/<id>` with `case.json`, which says what
// each command must find in them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export type Json = Readonly<Record<string, unknown>>;

/** Right values of output tensors. */
export interface ExpectedTensors {
  readonly file: string;
  readonly names: readonly string[];
  /** The name in the command's output, if it is another. */
  readonly as?: string;
  readonly tolerance?: number;
}

/** What must hold of an answer; every clause that is given. */
export interface Expectation {
  readonly any?: readonly Expectation[];
  readonly outcome?: 'opens' | 'refused';
  readonly family?: readonly (string | null)[];
  readonly params?: number | readonly number[];
  readonly buffers?: number | readonly number[];
  readonly task?: unknown;
  readonly state_dict?: unknown;
  readonly image_size?: unknown;
  readonly classes?: number;
  readonly config?: Json;
  readonly mentions?: readonly string[];
  readonly never_mentions?: readonly string[];
  readonly warns?: readonly string[];
  readonly part_of?: number;
  readonly top?: readonly { readonly index: number; readonly label?: string; readonly probability: number }[];
  readonly tolerance?: number;
  readonly tensors?: ExpectedTensors;
}

/** One command on one file. */
export interface FieldCheck {
  readonly command: 'inspect' | 'run' | 'classify' | 'preprocess';
  readonly open: string;
  readonly args?: readonly string[];
  readonly image?: string;
  /** Tensors of a safetensors file without data that is made as `open`. */
  readonly recipe?: readonly (readonly [name: string, dtype: string, shape: readonly number[]])[];
  /** JSON files next to what the recipe makes, by name. */
  readonly beside?: Json;
  readonly expect: Expectation;
}

/** A check, and the case that it belongs to. */
export interface CaseCheck {
  readonly id: string;
  readonly folder: string;
  readonly check: FieldCheck;
}

/** Folder with field cases: VITRINE_CASES, or those that come with the tests. */
export const fieldFolder = process.env.VITRINE_CASES ?? 'test/fixtures/field';

/** Every check of the cases below a folder; none if it holds no field cases. */
export function readFieldChecks(folder: string = fieldFolder): readonly CaseCheck[] {
  const cases = join(resolve(folder), 'cases');
  if (!existsSync(cases)) return [];
  return readdirSync(cases)
    .toSorted()
    .map((name) => join(cases, name))
    .filter((path) => existsSync(join(path, 'case.json')))
    .flatMap((path) => {
      const { id, checks } = JSON.parse(readFileSync(join(path, 'case.json'), 'utf8')) as {
        readonly id: string;
        readonly checks?: readonly FieldCheck[];
      };
      return (checks ?? []).map((check): CaseCheck => ({ id, folder: path, check }));
    });
}
