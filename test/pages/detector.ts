import type { Query } from '../../src/domain/query';
import type { Probe } from '../../src/domain/probes';
import type { Run } from '../../src/tasks/run';
import type { Box } from '../../src/tasks/answer';
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
export const detectorView: Pick<Run, 'task' | 'answer' | 'probes' | 'modelTitle' | 'inputSize'> = {
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
