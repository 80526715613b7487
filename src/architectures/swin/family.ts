import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { tableBias } from '../blocks/relativePosition';
import { mlp } from '../blocks/transformer';
import { windowAttention } from '../blocks/windows';
import type { ConfigValue, Evidence, EvidenceRecord, Family, Recognised } from '../family';
import { assumed, numberOf, numbersOf, pairOf, stored } from '../figures';
import {
  isWindow,
  recognisedShifted,
  shiftedAnswer,
  shiftedAssumable,
  shiftedFigures,
  shiftedStages,
  windowFigure,
  windowOf,
  windowFit,
  windowOfTable,
  windowsOfTable,
  type ShiftedPlace,
  type WindowFit,
} from '../groups/shiftedWindows';
import { decide, sourcesOf, type Sources } from '../sources';
import { swinNames } from './names';

const table = 'relative_position_bias_table';

const fitOf: Readonly<Record<string, WindowFit>> = {
  transformers: 'smaller side',
  'transformers-5': 'smaller side',
  torchvision: 'never',
};

/** Windows by name where their tables leave open which of them was clipped to a small map (Chen et al. 2021, S3). */
const searched: readonly (readonly [name: RegExp, window: ConfigValue])[] = [
  [/^swin_s3_small/, [14, 14, 14, 7]],
  [/^swin_s3_/, [7, 7, 14, 7]],
];

/** Windows by the tables of the stages. A table smaller than the first was clipped to a small map. */
function windowByTables(rows: readonly number[]): Evidence {
  const found = rows.map((count) => windowsOfTable(count)[0] ?? [0, 0]);
  if (found.every(([height, width]) => height === width))
    return stored(
      windowFigure(found.map(([side]) => Math.max(side, found[0]![0]))),
      `layers.0.blocks.0.attn.${table}`,
    );
  const all = windowsOfTable(rows[0]!).map((window) => window.join(' × '));
  return assumed(found[0]!, `${table} has ${rows[0]} rows, which fit windows of ${all.join(', ')}`);
}

/** The window of every stage: given, configured, or by the tables, each of which must have been made for it or for a smaller one. */
function windowEvidence(sources: Sources, rows: readonly number[]): Evidence {
  const stages = rows.length;
  const holds = (value: ConfigValue, stage: number): boolean => {
    const window = windowOf({ window: stored(value, '') }, stage);
    return windowsOfTable(rows[stage]!).some((each) => each[0] <= window[0] && each[1] <= window[1]);
  };
  return decide(sources, 'window', {
    config: ['window_size'],
    named: searched,
    otherwise: windowByTables(rows),
    is: (value) => isWindow(value, stages) && rows.every((_, stage) => holds(value, stage)),
    needed: `a window whose distances fit tables of ${[...new Set(rows)].join(', ')} rows`,
  });
}

/** The image size whose last map is one window, as all published models were trained. */
function usualSize(figures: EvidenceRecord): Evidence<Grid> {
  const last = numbersOf(figures, 'depth').length - 1;
  const [patch, window] = [pairOf(figures, 'patch'), windowOf(figures, last)];
  const side = (axis: 0 | 1): number => patch[axis] * 2 ** last * window[axis];
  return assumed([side(0), side(1)], 'one window covers the last map; the weights take other sizes as well');
}

/** One block: window attention and an MLP, each behind its norm (Liu et al. 2021, eq. 3). */
function block(b: GraphBuilder, tokens: Tokens, place: ShiftedPlace, window: Grid): Tokens {
  const { windows, layer, heads, eps, activation } = place;
  const name = `attn.${table}`;
  const native = windowOfTable(`${layer}.${name}`, b.shapeOf(name)[0]!, [windows.size, window]);
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = b.scope(
    'attn',
    () =>
      windowAttention(b, normed, windows, {
        heads,
        layer,
        bias: tableBias(b, table, windows.size, { native }),
      }),
    { title: `Window attention, ${heads} heads`, formula: 'softmax(QKᵀ/√d + B)·V' },
  );
  const mixed = residual(b, tokens.value, attended.value);
  return withValue(
    tokens,
    residual(b, mixed, mlp(b, norm(b, mixed, 'norm2', eps), 'mlp', { activation, eps })),
  );
}

/** Swin Transformer (Liu et al. 2021), also as found by search (Chen et al. 2021, S3) and trained on masked pixels (Xie et al. 2022, SimMIM). */
export const swin: Family<Recognised, void> = {
  name: 'swin',
  title: 'Swin Transformer',
  names: swinNames,
  idle: /^mask_token$/,
  assumable: shiftedAssumable,
  recognise(evidences) {
    const sources = sourcesOf(evidences);
    const figures = shiftedFigures(sources, {
      stages: 'layers',
      heads: (path) => ({ name: `${path}.attn.${table}`, axis: 1 }),
    });
    if (!figures) return undefined;
    const rows = numbersOf(figures, 'depth').map(
      (_, stage) => evidences.tensors.get(`layers.${stage}.blocks.0.attn.${table}`)!.shape[0]!,
    );
    const window = windowEvidence(sources, rows);
    const all: EvidenceRecord = { ...figures, window, window_fit: windowFit(evidences, fitOf) };
    return recognisedShifted(sources, all, {
      label: 'swin',
      name: 'Swin',
      usual: usualSize(all),
      windows: windowsOfTable(rows[0]!),
    });
  },
  build(b, recognised, options) {
    const { evidence: figures } = recognised;
    const tokens = shiftedStages(b, recognised, options, {
      stages: 'layers',
      block: (_, inner, place) => block(b, inner, place, windowOf(figures, place.stage)),
    });
    shiftedAnswer(b, withValue(tokens, norm(b, tokens.value, 'norm', numberOf(figures, 'eps'))));
  },
};
