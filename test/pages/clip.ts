import type { Pixels } from '../../src/domain/pixels';
import type { Probe } from '../../src/domain/probes';
import type { Run } from '../../src/tasks/run';

/** A model of clips with divided attention: what moves over its frames is attended to. */
const [frames, side, heads] = [8, 8, 3];
const given = 37;

const block = (index: number): readonly Probe[] => [
  {
    value: `blocks.${index}.temporal_attn/Softmax`,
    layer: `blocks.${index}.temporal_attn`,
    kind: 'window',
    heads,
    queries: { special: [], grid: [frames, 1, 1] },
    keys: { special: [], grid: [frames, 1, 1] },
    window: { per: 'position', windows: [side, side] },
  },
  {
    value: `blocks.${index}.attn/Softmax`,
    layer: `blocks.${index}.attn`,
    kind: 'window',
    heads,
    queries: { special: ['cls'], grid: [1, side, side] },
    keys: { special: ['cls'], grid: [1, side, side] },
    window: { per: 'frame', windows: [frames, 1] },
  },
];

export const clipProbes: readonly Probe[] = [0, 1].flatMap(block);

/** A hill that stands further right on each frame, `[heads, keys]` of every layer. */
export const clipRows = (): readonly Float32Array[] =>
  clipProbes.map(({ keys }) => {
    const special = keys.special?.length ?? 0;
    const count = special + frames * side * side;
    return Float32Array.from({ length: heads * count }, (_, at) => {
      const place = (at % count) - special;
      if (place < 0) return 0.01;
      const [frame, row, column] = [
        Math.floor(place / (side * side)),
        Math.floor(place / side) % side,
        place % side,
      ];
      return Math.exp(-((column - frame) ** 2 + (row - 4) ** 2) / 2) / 6;
    });
  });

/** The image as it drifts to the left, a few pixels each frame. */
function drifted({ width, height, rgb }: Pixels, by: number): Pixels {
  const moved = new Uint8Array(rgb.length);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const from = 3 * (row * width + ((column + by) % width));
      moved.set(rgb.subarray(from, from + 3), 3 * (row * width + column));
    }
  return { width, height, rgb: moved };
}

/** What a run of it shows beside what any run shows. */
export const clipView = (run: Run): Run => ({
  ...run,
  task: 'video',
  modelTitle: 'TimeSformer with 2 blocks',
  probes: clipProbes,
  layers: clipProbes.map(({ layer }) => layer),
  seen: {
    ...run.seen,
    image: '/home/you/clips/cat-walks.gif',
    region: { x: 0, y: 0, width: run.seen.size[0], height: run.seen.size[1] },
    frames: Array.from({ length: frames }, (_, index) => ({
      number: Math.floor((index * given) / frames),
      pixels: drifted(run.seen.pixels, 24 * index),
    })),
  },
  warnings: [
    `The model reads ${frames} frames: so many of the ${given} frames of the file are taken, evenly spaced.`,
  ],
});
