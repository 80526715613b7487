import { windowPlaces } from '../../attention/windows';
import { imageGrid } from '../../attention/tokenLayout';
import { at, increase } from '../../domain/lists';
import type { Probe } from '../../domain/probes';
import type { Grid } from '../../domain/size';
import type { Explained, MapOf, Values } from '../explained';
import type { Explanation, Method, Picture } from '../method';
import { fused, type Fusion } from '../overLayers';
import { byAll, float32, perGradient, whyNoAttention } from './common';

/** Which cell of a map each key of each window lies on, -1 for none. */
interface KeyCells {
  readonly grid: Grid;
  /** `[windows, keys]` */
  readonly cells: Int32Array;
}

/** Where the keys of a map lie on the image; undefined if they do not. */
function keyCells(probe: Probe): KeyCells | undefined {
  const grid = imageGrid(probe.keys);
  if (!grid || probe.keys.sequenceFirst || probe.kind === 'activation') return undefined;
  const windowed = probe.window && windowPlaces(probe);
  if (probe.window && !windowed) return undefined;
  const special = probe.keys.special?.length ?? 0;
  const own = windowed?.keys.cells ?? Int32Array.from({ length: grid[0] * grid[1] }, (_, cell) => cell);
  const windows = windowed?.windows ?? 1;
  const inside = own.length / windows;
  const cells = new Int32Array(windows * (special + inside)).fill(-1);
  for (let window = 0; window < windows; window++)
    cells.set(own.subarray(window * inside, (window + 1) * inside), window * (special + inside) + special);
  return { grid: windowed?.keys.map ?? grid, cells };
}

/** The last layer whose keys lie on the image. */
const lastPlaced = ({ probes }: Explained): number =>
  probes.findLastIndex((probe) => keyCells(probe) !== undefined);

const whyNoLayer = (explained: Explained): string | undefined =>
  whyNoAttention(explained) ??
  (lastPlaced(explained) < 0 ? 'the keys of no layer lie on the image' : undefined);

/** What each place of the image gives to all that ask: the mean over queries. */
function received({ probe, map }: MapOf, matrix: ArrayLike<number>, legend: string): Picture | undefined {
  const placed = keyCells(probe);
  if (!placed) return undefined;
  const { grid, cells } = placed;
  const [queries = 1, keys = 1] = map.shape.slice(-2);
  const windows = matrix.length / (queries * keys);
  if (cells.length !== windows * keys) return undefined;
  const values = new Float64Array(grid[0] * grid[1]);
  for (let row = 0; row < windows * queries; row++)
    for (let key = 0; key < keys; key++) {
      const cell = cells[Math.floor(row / queries) * keys + key] ?? -1;
      if (cell >= 0) increase(values, cell, at(matrix, row * keys + key) / queries);
    }
  return { grid, values, signed: false, legend };
}

/** The shape of a map without its heads. */
const withoutHeads = ({ shape }: Values): readonly number[] => [...shape.slice(0, -3), ...shape.slice(-2)];

/** One matrix of all heads, window by window. */
function ofWindows(found: MapOf, how: Fusion): Float64Array {
  const { map } = found;
  const size = map.shape.slice(-3).reduce((total, side) => total * side, 1);
  const [queries = 1, keys = 1] = map.shape.slice(-2);
  const result = new Float64Array((map.data.length / size) * queries * keys);
  for (let first = 0, to = 0; first < map.data.length; first += size, to += queries * keys) {
    const own = { shape: map.shape.slice(-3), data: map.data.subarray(first, first + size) };
    result.set(fused({ ...found, map: own }, how), to);
  }
  return result;
}

const fusions: readonly Fusion[] = ['mean', 'max', 'min'];

const fusion: Method = {
  name: 'fusion',
  gives: fusions.map((how) => `fusion.${how}`),
  title: 'Attention of one layer',
  text: 'The heads of the last layer whose keys lie on the image as one map: their mean, largest or smallest weight. Where a model looks is not what its answer hangs on.',
  formula: 'mean, max or min over heads of A',
  source: 'Vaswani et al. 2017; Jain & Wallace 2019 on what it does not say',
  whyNot: whyNoLayer,
  forwards: () => 1,
  async compute(explained): Promise<Explanation> {
    const found = at(await explained.maps(), lastPlaced(explained));
    const made = fusions.map((how) => [how, ofWindows(found, how)] as const);
    const picture = received(found, at(made, 0)[1], `attention that each place gets, ${found.probe.layer}`);
    return {
      tensors: Object.fromEntries(
        made.map(([how, matrix]) => [`fusion.${how}`, float32(withoutHeads(found.map), matrix)]),
      ),
      ...(picture && { picture }),
    };
  },
};

const attentionXGradient: Method = {
  name: 'attention_x_gradient',
  title: 'Attention × gradient',
  text: 'Where the last layer’s attention speaks for this class. It is of one layer, whose keys may be windows or reduced: what remains where layers do not multiply to relevance.',
  formula: 'mean over heads of max(0, A ⊙ ∂s/∂A)',
  source: 'Chefer et al. 2021 (ICCV), eq. 5, of one layer',
  whyNot: whyNoLayer,
  forwards: () => perGradient,
  derived: byAll,
  async compute(explained): Promise<Explanation> {
    const { probe, map, gradient } = at((await explained.derived()).maps, lastPlaced(explained));
    const data = map.data.map((weight, place) => Math.max(0, weight * at(gradient.data, place)));
    const matrix = ofWindows({ probe, map: { shape: map.shape, data } }, 'mean');
    const picture = received({ probe, map }, matrix, `attention × gradient, ${probe.layer}`);
    return {
      tensors: { attention_x_gradient: float32(withoutHeads(map), matrix) },
      ...(picture && { picture }),
    };
  },
};

/** What the attention of one layer says. */
export const ofOneLayer: readonly Method[] = [fusion, attentionXGradient];
