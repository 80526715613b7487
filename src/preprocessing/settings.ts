/**
 * Reads settings out of JSON that nobody has checked: what is missing takes a default, what is
 * wrong takes it with a warning.
 */
import type { Sourced } from '../domain/evidence';
import type { Size } from '../domain/size';
import { filters } from './resize';
import type { Filter } from './resize';

export type Json = Readonly<Record<string, unknown>>;

/**
 * Larger sides are a broken configuration, not a model: 16384 is beyond any published input by a
 * factor of 10.
 */
export const maxSide = 16384;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

export function isSide(value: unknown): value is number {
  return isNumber(value) && Number.isInteger(value) && value >= 1 && value <= maxSide;
}

/** A kind of value: how it is recognised (`undefined` = not one), and what to say is needed. */
export interface Kind<Value> {
  readonly parse: (value: unknown) => Value | undefined;
  readonly needed: string;
}

/**
 * One number for each channel: of a model of colours three, of another one as many as it has
 * channels, one for all of them, or those of red, green and blue, which its channels are fitted to.
 */
function perChannel(
  channels: number,
  isGood: (value: number) => boolean,
  numbers: string,
): Kind<readonly number[]> {
  const lengths: readonly number[] = channels === 3 ? [3] : [channels, 1, 3];
  const each = channels === 3 ? 'three' : String(channels);
  return {
    parse: (value) => {
      const all: unknown = isNumber(value) ? Array.from({ length: channels }, () => value) : value;
      const fits = Array.isArray(all) && lengths.includes(all.length) && all.every(isNumber);
      return fits && all.every(isGood) ? all : undefined;
    },
    needed: `${each} ${numbers}${channels === 3 ? ' (red, green, blue)' : ''} or one`,
  };
}

/** Means of a model of so many channels. */
export const meanOf = (channels: number): Kind<readonly number[]> =>
  perChannel(channels, () => true, 'numbers');

/** Deviations of a model of so many channels. */
export const stdOf = (channels: number): Kind<readonly number[]> =>
  perChannel(channels, (value) => value > 0, 'numbers above 0');

export const fraction: Kind<number> = {
  parse: (value) => (isNumber(value) && value >= 0.01 && value <= 10 ? value : undefined),
  needed: 'a number from 0.01 to 10',
};

export const flag: Kind<boolean> = {
  parse: (value) => (typeof value === 'boolean' ? value : undefined),
  needed: 'true or false',
};

export const factor: Kind<number> = {
  parse: (value) => (isNumber(value) && value > 0 ? value : undefined),
  needed: 'a number above 0',
};

/** Pillow's code, or its name. */
export const filterKind: Kind<Filter> = {
  parse: (value) => (typeof value === 'number' ? filters[value] : filters.find((name) => name === value)),
  needed: `one of 0 … 5 or ${filters.join(', ')}`,
};

/** timm's [channels, height, width]. */
export const inputSize: Kind<Size> = {
  parse: (value) => {
    if (!Array.isArray(value) || value.length !== 3) return undefined;
    const [channels, height, width] = value as readonly unknown[];
    return isSide(channels) && isSide(height) && isSide(width) ? [height, width] : undefined;
  },
  needed: `[channels, height, width] with sides of 1 … ${maxSide}`,
};

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Takes settings from one JSON object and collects what is wrong with it. */
export class SettingsReader {
  readonly warnings: string[] = [];

  /**
   * `file` as the user sees it: `preprocessor_config.json`, `config.json: pretrained_cfg`; `source`
   * stands for it in the evidence if the JSON was never a file.
   */
  constructor(
    private readonly json: Json,
    private readonly file: string,
    private readonly defaultSource: string,
    private readonly source?: string,
  ) {}

  has(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null;
  }

  read<Value>(key: string, kind: Kind<Value>, fallback: Value): Sourced<Value> {
    if (!this.has(key)) return { value: fallback, source: this.defaultSource };
    const value = kind.parse(this.json[key]);
    if (value !== undefined) return { value, source: this.source ?? `${this.file}: ${key}` };
    return { value: fallback, source: this.refuse(key, kind.needed, fallback) };
  }

  /** Notes a bad value; returns the source of the default that stands in for it. */
  refuse(key: string, needed: string, fallback: unknown): string {
    this.warnings.push(
      `${this.file}: ${key} is ${shown(this.json[key])}, needed is ${needed}; ${shown(fallback)} is used instead`,
    );
    return `${this.defaultSource}, because ${key} in ${this.file} is not usable`;
  }
}
