import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, withValue } from '../blocks/layers';
import {
  boundedBias,
  continuousTable,
  distances,
  gatheredBias,
  logCoordinates,
} from '../blocks/relativePosition';
import { configuredArchitecture } from '../config';
import type { ConfigValue, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored } from '../figures';
import { postNormBlock } from '../groups/cosineWindows';
import {
  isWindow,
  recognisedShifted,
  shiftedAnswer,
  shiftedAssumable,
  shiftedFigures,
  shiftedStages,
  windowFit,
  type WindowFit,
} from '../groups/shiftedWindows';
import { decide, imageSizeOf, namesOf, sourcesOf, type Sources } from '../sources';
import { swinv2Names } from './names';

const coordinates = 'relative_coords_table';

const fitOf: Readonly<Record<string, WindowFit>> = { transformers: 'rows', torchvision: 'never' };

/** What published names tell: `swinv2_base_window12to16_192to256`, `swinv2-tiny-patch4-window8-256`. */
const named: readonly (readonly [name: RegExp, window: number, trained: readonly number[]])[] = [
  [/window12to16/, 16, [12, 12, 12, 6]],
  [/window12to24/, 24, [12, 12, 12, 6]],
  [/window16/, 16, [0, 0, 0, 0]],
  [/window12/, 12, [0, 0, 0, 0]],
  [/window8/, 8, [0, 0, 0, 0]],
];

/** The window whose coordinates the file keeps as a buffer. */
function storedWindow({ tensors }: Found): Evidence | undefined {
  const name = `layers.0.blocks.0.attn.${coordinates}`;
  const shape = tensors.get(name)?.shape;
  if (shape?.length !== 4) return undefined;
  const [rows, columns] = [(shape[1]! + 1) / 2, (shape[2]! + 1) / 2];
  return stored(rows === columns ? rows : [rows, columns], name);
}

/**
 * Windows of bare weights: nothing in them tells the window, so that models of one size with different windows have the same header. The
 * published models take a window of a sixteenth of the picture's side, or of half of that.
 */
function likelyWindow(sources: Sources): Evidence {
  const windows = namesOf(sources).map((name) => named.find(([pattern]) => pattern.test(name))?.[1]);
  const [first] = windows;
  const [height] = imageSizeOf(sources, [256, 256]).imageSize;
  const why = 'not stored in the weights';
  return first !== undefined && windows.every((each) => each === first)
    ? assumed(first, `as ${namesOf(sources)[0]}; ${why}`)
    : assumed(Math.max(1, Math.floor(height / 16)), `a sixteenth of the image's height; ${why}`);
}

const rowsOf = (index: 1 | 2): readonly (readonly [RegExp, ConfigValue])[] =>
  named.map((row) => [row[0], row[index]]);

function windowFigures(sources: Sources, stages: number): EvidenceRecord {
  const { found: evidences } = sources;
  const told = storedWindow(evidences);
  // A name in config.json is one model's; names found by shapes are all that have them, whatever their window.
  const byName = configuredArchitecture(evidences.checkpoint) !== undefined;
  const each = (value: ConfigValue): boolean => [value].flat().length === stages;
  return {
    window: decide(sources, 'window', {
      config: ['window_size'],
      named: byName ? rowsOf(1) : [],
      otherwise: told ?? likelyWindow(sources),
      is: (value) => isWindow(value, stages),
      needed: 'a number, rows and columns, or a number for each stage',
    }),
    pretrained_window: decide<ConfigValue>(sources, 'pretrained_window', {
      config: ['pretrained_window_sizes'],
      named: byName ? rowsOf(2) : [],
      otherwise: told
        ? stored(new Array<number>(stages).fill(0), `coordinates are stored: ${told.source}`)
        : assumed(
            new Array<number>(stages).fill(0),
            'trained with the same windows; not stored in the weights',
          ),
      is: each,
      needed: `a number for each of ${stages} stages, 0 where it is the window itself`,
    }),
  };
}

/** Continuous position bias `[heads, n, n]` (Liu et al. 2022, §3.3): of the coordinates in the file, or made anew for another window. */
function positionBias(b: GraphBuilder, window: Grid, trained: number): ValueInfo {
  const rows = distances(window);
  const kept = b.has(coordinates) && b.shapeOf(coordinates)[1] === 2 * window[0] - 1;
  const inFile = kept && b.shapeOf(coordinates)[2] === 2 * window[1] - 1;
  const places = inFile
    ? b.parameter(coordinates, [rows, 2])
    : b.constant(
        '/coordinates',
        'F32',
        [rows, 2],
        logCoordinates(window, 'swin', trained > 0 ? [trained, trained] : window),
      );
  const table = continuousTable(b, ['cpb_mlp.0', 'cpb_mlp.2'], places);
  return boundedBias(b, gatheredBias(b, table, window));
}

/** Swin Transformer V2 (Liu et al. 2022). */
export const swinv2: Family<Recognised, void> = {
  name: 'swinv2',
  title: 'Swin Transformer V2',
  names: swinv2Names,
  idle: /^mask_token$/,
  assumable: [...shiftedAssumable, 'pretrained_window'],
  recognise(evidences) {
    const sources = sourcesOf(evidences);
    const figures = shiftedFigures(sources, {
      stages: 'layers',
      heads: (path) => ({ name: `${path}.attn.logit_scale`, axis: 0 }),
    });
    if (!figures) return undefined;
    const all: EvidenceRecord = {
      ...figures,
      ...windowFigures(sources, numbersOf(figures, 'depth').length),
      window_fit: windowFit(evidences, fitOf),
    };
    const windows = [...new Set(named.map(([, window]) => window))];
    return recognisedShifted(sources, all, { label: 'swinv2', name: 'Swin V2', usual: [256, 256], windows });
  },
  build(b, recognised, options) {
    const { evidence: figures } = recognised;
    const trained = numbersOf(figures, 'pretrained_window');
    const tokens = shiftedStages(b, recognised, options, {
      stages: 'layers',
      block: (_, inner, place) =>
        postNormBlock(b, inner, place, () => positionBias(b, place.windows.size, trained[place.stage]!)),
    });
    shiftedAnswer(b, withValue(tokens, norm(b, tokens.value, 'norm', numberOf(figures, 'eps'))));
  },
};
