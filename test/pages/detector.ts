import type { Query } from '../../src/domain/query';
import type { Probe } from '../../src/domain/probes';
import type { Run } from '../../src/tasks/run';
import type { Box, Boxes } from '../../src/tasks/answer';
import { tokenCount } from '../../src/domain/probes';
import { seeded } from '../support/random';

/** Places of the encoder: the image of 640 × 480 by 32. */
const grid = [15, 20] as const;
const heads = 8;
const queries = 100;

const encoder = (index: number): Probe => ({
  value: `encoder.${index}`,
  layer: `encoder.layers.${index}`,
  kind: 'self',
  heads,
  queries: { grid },
  keys: { grid },
});
const decoder = (index: number): readonly Probe[] => [
  {
    ...encoder(index),
    value: `decoder.${index}.self`,
    layer: `decoder.layers.${index}.self_attn`,
    queries: { queries },
    keys: { queries },
  },
  {
    ...encoder(index),
    value: `decoder.${index}.cross`,
    layer: `decoder.layers.${index}`,
    kind: 'cross',
    queries: { queries },
  },
];
const probes: readonly Probe[] = [0, 1, 2].map(encoder).concat([0, 1, 2].flatMap(decoder));

const box = (query: number, label: number, name: string, score: number, corners: Box['box']): Box => ({
  query,
  label,
  name,
  score,
  box: corners,
});

/** In the order of their queries, as DETR's processor has them. */
const found: readonly Box[] = [
  box(3, 17, 'cat', 0.982, [214, 132, 420, 436]),
  box(8, 64, 'potted plant', 0.61, [470, -40, 700, 260]),
  box(11, 17, 'cat', 0.31, [230, 140, 330, 260]),
  box(20, 34, 'frisbee', 0.74, [60, 360, 130, 410]),
  box(31, 18, 'dog', 0.12, [200, 120, 440, 450]),
  box(57, 64, 'potted plant', 0.083, [660, 20, 720, 90]),
];

/** How a detector answered. */
export const detectorView: Pick<Run, 'task' | 'probes' | 'modelTitle' | 'inputSize'> & {
  readonly answer: Boxes;
} = {
  task: 'detect',
  modelTitle: 'DETR, ResNet-50 backbone',
  answer: {
    kind: 'boxes',
    boxes: found,
    threshold: 0.5,
    queries,
    labelSource: 'config.json: id2label',
  },
  probes,
  inputSize: { current: [480, 640], native: [800, 1066], step: [1, 1] },
};

/** Decoder layers that look at a few places of three maps. */
const sampling: readonly Probe[] = [0, 1].flatMap((index) => [
  ...decoder(index).slice(0, 1),
  {
    ...encoder(index),
    value: `decoder.${index}.places`,
    layer: `decoder.layers.${index}.encoder_attn`,
    kind: 'deformable',
    queries: { queries },
    keys: { levels: 3, points: 4 },
    places: `decoder.${index}.at`,
  },
]);

/** A detector that finds what texts say: the boxes of those that it has some of. */
export function finderView(labels: readonly string[]): typeof detectorView {
  const { answer } = detectorView;
  const boxes = labels.flatMap((name, label) =>
    found.filter((each) => each.name === name).map((each) => ({ ...each, label })),
  );
  return {
    ...detectorView,
    modelTitle: 'Grounding DINO, Swin-T backbone',
    probes: sampling,
    answer: {
      ...answer,
      kind: 'boxes',
      boxes,
      threshold: 0.25,
      queries,
      labelSource: 'the texts',
      texts: labels,
    },
  };
}

/** Weights of a query at its places, and the places: around its box, or all over. */
export function finderRows(query: Query): {
  readonly rows: readonly Float32Array[];
  readonly places: readonly Float32Array[];
} {
  const asked = query.kind === 'query' && queries > query.index;
  const each = sampling.map((probe, layer) => {
    if (!asked || query.kind !== 'query') return [new Float32Array(), new Float32Array()] as const;
    const row = Float32Array.from(
      Array.from({ length: heads }, (_, head) => [...rowOf(probe, layer, head, query)]).flat(),
    );
    if (probe.kind !== 'deformable') return [row, new Float32Array()] as const;
    const random = seeded(layer);
    const [x0, y0, x1, y1] = found.find((one) => one.query === query.index)?.box ?? [0, 0, 640, 480];
    const at = (low: number, high: number, side: number): number => (low + (high - low) * random()) / side;
    const places = Array.from(row, () => [at(x0, x1, 640), at(y0, y1, 480)]).flat();
    return [row, Float32Array.from(places)] as const;
  });
  return { rows: each.map(([row]) => row), places: each.map(([, places]) => places) };
}

export const detectorRegion = { x: 0, y: 0, width: 640, height: 480 } as const;

/** Where on the grid a query looks, and how far around: that of a box at its box. */
function hillOf(query: Query, random: () => number): readonly [row: number, column: number, spread: number] {
  const [rows, columns] = grid;
  if (query.kind === 'patch') return [query.row, query.column, 2];
  const asked = query.kind === 'query' ? found.find((each) => each.query === query.index) : undefined;
  if (!asked) return [rows * (0.3 + 0.4 * random()), columns * (0.3 + 0.4 * random()), 6];
  const [x0, y0, x1, y1] = asked.box;
  return [((y0 + y1) / 2 / 480) * rows, ((x0 + x1) / 2 / 640) * columns, (x1 - x0) / 64];
}

function rowOf(probe: Probe, layer: number, head: number, query: Query): Float32Array {
  const random = seeded(1000 * layer + head);
  const [y, x, spread] = hillOf(query, random);
  const row = Float32Array.from({ length: tokenCount(probe.keys) }, (_, key) => {
    if (!probe.keys.grid) return random() ** 6;
    const [dy, dx] = [Math.floor(key / grid[1]) + 0.5 - y, (key % grid[1]) + 0.5 - x];
    return Math.exp((-(dy * dy) - dx * dx) / (2 * spread * spread)) + 0.02 * random();
  });
  const sum = row.reduce((whole, value) => whole + value, 0);
  return row.map((value) => value / sum);
}

const answers = (probe: Probe, { kind }: Query): boolean =>
  kind === 'mean' ||
  (kind === 'query' ? probe.queries.queries !== undefined : probe.queries.grid !== undefined);

/** A query's weights in every layer that has it. */
export const detectorRows = (query: Query): readonly Float32Array[] =>
  probes.map((probe, layer) => {
    if (!answers(probe, query)) return new Float32Array(0);
    const all = Array.from({ length: heads }, (_, head) => rowOf(probe, layer, head, query));
    return Float32Array.from(all.flatMap((row) => [...row]));
  });
