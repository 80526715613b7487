/**
 * Colour maps for attention weights: seventeen stops each, joined by straight lines in sRGB (off by
 * at most 7 of 255, turbo 14). Sources: viridis, magma, inferno by Stéfan van der Walt and
 * Nathaniel Smith (CC0); cividis by Nuñez, Anderton and Renslow (PLOS ONE 13(7), 2018); turbo by
 * Anton Mikhailov (Google, 2019), in its polynomial form; grey is the plain ramp.
 */
const STOPS = {
  viridis:
    '440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725',
  magma:
    '000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf',
  inferno:
    '000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4',
  cividis:
    '002051 012b65 11366c 26426e 3c4d6e 51586e 62646f 727071 7f7c75 8c8877 9a9478 a9a177 bbaf71 cebd68 e2cb5c f3da4f fdea45',
  turbo:
    '23171b 493eae 4569ee 3295f7 26bce1 29dcbc 3ff393 65fd6e 95fb51 c5ec3c ecd12e ffad24 ff821d f05616 cb2f0d a31302 900c00',
  grey: '000000 ffffff',
} as const;

export type ColourMap = keyof typeof STOPS;

/**
 * Both ends of a sign, as dark as one another, and a light middle; our own stops. Blue and red are
 * told apart whatever kind of cones somebody lacks.
 */
const DIVERGING = '1b3f8b 3f6fc0 7ea3dc bfd1ec f4f4f4 f0c6b2 e08c6a c24f33 8c1f14';

/** Colours of a scale: of one that begins at an end, or of one with 0 in its middle. */
export type Colours = ColourMap | 'diverging';

export const colourMaps = Object.keys(STOPS) as readonly ColourMap[];

/** The map of that name, or the first one: a setting may hold anything. */
export const colourMapNamed = (name: string): ColourMap =>
  colourMaps.find((known) => known === name) ?? 'viridis';

const tables = new Map<Colours, Uint8Array>();

/** 256 colours of a map, `[256, 3]` bytes. */
export function colourTable(map: Colours): Uint8Array {
  const known = tables.get(map);
  if (known) return known;
  const table = interpolate((map === 'diverging' ? DIVERGING : STOPS[map]).split(' '));
  tables.set(map, table);
  return table;
}

/** Colour `[red, green, blue]` of a share of the scale; outside 0 … 1 the ends of the map. */
export function colourAt(map: Colours, share: number): readonly [number, number, number] {
  const table = colourTable(map);
  const at = 3 * entry(share);
  return [table[at] ?? 0, table[at + 1] ?? 0, table[at + 2] ?? 0];
}

/**
 * Values as RGBA pixels on the scale `low … high`; NaN stays transparent. Output `[values, 4]`.
 *
 * @param fade makes low values (of a diverging scale those near its middle) see-through, by the
 * square root of their share of the scale: half of the scale still covers 71 %
 */
export function paint(
  values: ArrayLike<number>,
  low: number,
  high: number,
  map: Colours,
  fade = false,
): Uint8ClampedArray<ArrayBuffer> {
  const table = colourTable(map);
  const pixels = new Uint8ClampedArray(4 * values.length);
  const range = high > low ? high - low : 1;
  // Values that are all alike are the end of a scale, or the middle of one that has a sign.
  const start = high > low || map !== 'diverging' ? low : low - 0.5;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? NaN;
    if (Number.isNaN(value)) continue;
    const step = entry((value - start) / range);
    const at = 3 * step;
    const strength = map === 'diverging' ? Math.abs(2 * step - 255) / 255 : step / 255;
    const alpha = fade ? 255 * Math.sqrt(strength) : 255;
    pixels.set([table[at] ?? 0, table[at + 1] ?? 0, table[at + 2] ?? 0, alpha], 4 * index);
  }
  return pixels;
}

const entry = (share: number): number => Math.round(255 * Math.min(1, Math.max(0, share)));

function interpolate(stops: readonly string[]): Uint8Array {
  const channels = stops.map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const table = new Uint8Array(3 * 256);
  for (let index = 0; index < 256; index++) {
    const place = (index / 255) * (channels.length - 1);
    const left = Math.min(Math.floor(place), channels.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const from = channels[left]?.[channel] ?? 0;
      const to = channels[left + 1]?.[channel] ?? from;
      table[3 * index + channel] = Math.round(from + (to - from) * (place - left));
    }
  }
  return table;
}
