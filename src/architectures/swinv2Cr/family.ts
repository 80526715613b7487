import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue } from '../blocks/layers';
import { continuousTable, logarithm } from '../blocks/relativePosition';
import type { Evidence, EvidenceRecord, Family, Recognised } from '../family';
import { numberOf, numbersOf, stored } from '../figures';
import { postNormBlock } from '../groups/cosineWindows';
import {
  isWindow,
  recognisedShifted,
  shiftedAnswer,
  shiftedAssumable,
  shiftedFigures,
  shiftedStages,
  windowOf,
} from '../groups/shiftedWindows';
import { decide, sourcesOf } from '../sources';
import { swinv2CrNames } from './names';

/** Log-spaced coordinates of every pair of tokens, `[n · n, 2]`: this model's network reads each pair, not each distance once. */
function pairCoordinates([rows, columns]: Grid): Float32Array {
  const count = rows * columns;
  const pairs = new Float32Array(2 * count * count);
  for (let query = 0; query < count; query++)
    for (let key = 0; key < count; key++) {
      const at = 2 * (query * count + key);
      pairs[at] = logarithm(Math.floor(query / columns) - Math.floor(key / columns));
      pairs[at + 1] = logarithm((query % columns) - (key % columns));
    }
  return pairs;
}

/** Continuous position bias `[heads, n, n]`. */
function positionBias(b: GraphBuilder, window: Grid): ValueInfo {
  const count = window[0] * window[1];
  const coordinates = b.shared(`pairs of ${window.join(' × ')}`, () =>
    b.constant('/coordinates', 'F32', [count * count, 2], pairCoordinates(window)),
  );
  const table = continuousTable(b, ['meta_mlp.fc1', 'meta_mlp.fc2'], coordinates);
  return b.reshape(b.transpose(table, [1, 0]), [table.shape[1]!, count, count]);
}

const positive = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** Swin Transformer V2 as Christoph Reich wrote it for timm before the authors' code came out: windows are a part of the picture. */
export const swinv2Cr: Family<Recognised, void> = {
  name: 'swinv2_cr',
  title: 'Swin Transformer V2 (Christoph Reich)',
  names: swinv2CrNames,
  assumable: [...shiftedAssumable, 'window_ratio'],
  recognise(evidences) {
    const sources = sourcesOf(evidences);
    const figures = shiftedFigures(sources, {
      stages: 'stages',
      heads: (path) => ({ name: `${path}.attn.logit_scale`, axis: 0 }),
    });
    if (!figures) return undefined;
    const stages = numbersOf(figures, 'depth').length;
    const none: Evidence = stored('', 'the window follows from window_ratio');
    const window = decide(sources, 'window', {
      config: ['window_size'],
      otherwise: none,
      is: (value) => isWindow(value, stages),
      needed: 'a number, rows and columns, or a number for each stage',
    });
    const all: EvidenceRecord = {
      ...figures,
      ...(window !== none && { window }),
      window_ratio: decide(sources, 'window_ratio', {
        config: ['window_ratio'],
        otherwise: stored(8, 'default of timm'),
        is: positive,
        needed: 'a whole number of windows along a side of the patches',
      }),
      window_fit: stored('each side', 'as timm does'),
    };
    return recognisedShifted(sources, all, {
      label: 'swinv2_cr',
      name: 'Swin V2 CR',
      usual: [224, 224],
      windows: [],
    });
  },
  build(b, recognised, options) {
    const { evidence: figures } = recognised;
    const ratio = numberOf(figures, 'window_ratio');
    const part = (patches: Grid): Grid => [
      Math.max(1, Math.floor(patches[0] / ratio)),
      Math.max(1, Math.floor(patches[1] / ratio)),
    ];
    const tokens = shiftedStages(b, recognised, options, {
      stages: 'stages',
      window: (stage, patches) => (figures['window'] ? windowOf(figures, stage) : part(patches)),
      block: (_, inner, place) => {
        const mixed = postNormBlock(b, inner, place, () => positionBias(b, place.windows.size));
        // A third norm over the sum: at the end of the last stage, in huge models after every sixth block, in others (`ns`) after each stage.
        return withValue(mixed, maybeNorm(b, mixed.value, 'norm3', place.eps));
      },
    });
    shiftedAnswer(b, tokens);
  },
};
