import { at } from '../../src/domain/lists';

/**
 * Colours of classes on images: light enough to stand on black, which is drawn around every line
 * and under every name, and apart for those who see few colours (after Okabe & Ito 2008). A name
 * stands beside each.
 */
const colours = [
  '#56b4e9',
  '#f0a030',
  '#2fc99a',
  '#f5e653',
  '#ff7b4a',
  '#e08ec0',
  '#a99cff',
  '#c8d4dc',
] as const;

/** Of more classes than colours, the next are lighter, and the next darker. */
const shades = [
  { towards: 255, by: 0 },
  { towards: 255, by: 0.5 },
  { towards: 0, by: 0.2 },
] as const;

/** The colour of a class as red, green and blue: the same one in every image and theme. */
export function classRgb(label: number): readonly [red: number, green: number, blue: number] {
  const number = parseInt(nth(colours, label).slice(1), 16);
  const { towards, by } = nth(shades, Math.floor(label / colours.length));
  const shade = (bits: number): number => Math.round(bits + (towards - bits) * by);
  return [shade(number >> 16), shade((number >> 8) & 255), shade(number & 255)];
}

/** Colours that are told apart. */
const count = colours.length * shades.length;

/**
 * Numbers of colours for classes that are seen together: each keeps the one that it has in every
 * image, unless one before it has the same; it gets the next that is free then.
 */
export function apart(labels: readonly number[]): readonly number[] {
  const taken = new Set<number>();
  return labels.map((label) => {
    const own = slot(label);
    const around = Array.from({ length: count }, (_, step) => slot(own + step));
    const free = around.find((number) => !taken.has(number)) ?? own;
    taken.add(free);
    return free;
  });
}

const slot = (label: number): number => ((label % count) + count) % count;

/** The same as CSS has it. */
export const classColour = (label: number): string =>
  `#${classRgb(label)
    .map((value) => value.toString(16).padStart(2, '0'))
    .join('')}`;

/** Around and around. */
const nth = <T>(list: readonly T[], index: number): T =>
  at(list, ((index % list.length) + list.length) % list.length);
