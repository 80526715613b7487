/** Names of ImageNet's published subsets, read once from a compressed file beside the program. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/**
 * A published class list: what it is called, and which bit marks its members in imagenet.txt.gz.
 */
interface Subset {
  readonly title: string;
  readonly bits: number;
  /** The thousand of ImageNet-1k come first, the rest after them. */
  readonly thousandFirst?: true;
}

const thousand = 1;
const fall11 = 4;

/**
 * Each published size belongs to one list and order; timm, too, has nothing but the size to go by.
 */
const subsets: Readonly<Record<number, Subset>> = {
  1000: { title: 'ImageNet-1k', bits: thousand },
  10450: { title: 'ImageNet-21k as processed by MIIL, winter 2021', bits: 32 },
  11221: { title: 'ImageNet-21k as processed by MIIL, fall 2011', bits: 16 },
  11821: { title: 'ImageNet-12k', bits: 2 },
  21841: { title: 'ImageNet-22k, fall 2011', bits: fall11 },
  21842: {
    title: 'ImageNet-22k with the 1000 of ImageNet-1k first',
    bits: fall11 | thousand,
    thousandFirst: true,
  },
  21843: { title: "ImageNet-21k in Google's order", bits: 8 },
};

export interface NamedClasses {
  readonly title: string;
  readonly names: readonly string[];
}

const relative = join('media', 'labels', 'imagenet.txt.gz');

/** The program runs from dist/ or below it; media/ lies beside that. */
function findFile(): string | undefined {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const path = join(folder, relative);
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}

let read: readonly string[] | undefined;

/** `<flags><name>` lines in the order of WordNet's ids; empty if the file was not shipped. */
function lines(): readonly string[] {
  if (!read) {
    const path = findFile();
    read = path ? gunzipSync(readFileSync(path)).toString('utf8').trimEnd().split('\n') : [];
  }
  return read;
}

function members(bits: number): string[] {
  return lines()
    .filter((line) => ((line.charCodeAt(0) - 48) & bits) !== 0)
    .map((line) => line.slice(1));
}

function restOf(bits: number): string[] {
  return lines()
    .filter((line) => {
      const flags = line.charCodeAt(0) - 48;
      return (flags & bits) !== 0 && (flags & thousand) === 0;
    })
    .map((line) => line.slice(1));
}

const known = new Map<number, NamedClasses>();

/** The names of the subset that has this many classes; `undefined` if no published one has. */
export function imagenetNames(classes: number): NamedClasses | undefined {
  const subset = subsets[classes];
  if (!subset) return undefined;
  const named = known.get(classes) ?? { title: subset.title, names: namesOf(subset) };
  known.set(classes, named);
  return named.names.length === classes ? named : undefined;
}

const namesOf = ({ bits, thousandFirst }: Subset): readonly string[] =>
  thousandFirst ? [...members(thousand), ...restOf(bits)] : members(bits);
