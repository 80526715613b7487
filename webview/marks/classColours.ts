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

/** The same as CSS has it. */
export const classColour = (label: number): string =>
  `#${classRgb(label)
    .map((value) => value.toString(16).padStart(2, '0'))
    .join('')}`;

/** Around and around. */
const nth = <T>(list: readonly T[], index: number): T =>
  at(list, ((index % list.length) + list.length) % list.length);
