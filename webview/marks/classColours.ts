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

/** The colour of a class by its index: the same one in every image and theme. */
export const classColour = (label: number): string =>
  colours[((label % colours.length) + colours.length) % colours.length] ?? colours[0];

/** The same as red, green and blue. */
export function classRgb(label: number): readonly [red: number, green: number, blue: number] {
  const number = parseInt(classColour(label).slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
