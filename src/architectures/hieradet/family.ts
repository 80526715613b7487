import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { gridOfLayout, gridSequence } from '../blocks/maps';
import { windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, ConfigValue, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored } from '../figures';
import {
  hieraEncoder,
  hieraHead,
  hieraPatches,
  windowedPositions,
  withPositions,
  type HieraBlock,
} from '../groups/hieraBlocks';
import { hieraAssumable, hieraFigures, hieraTitle, requireUnits } from '../groups/hieraFigures';
import { areLayers, globalLayers, noLayer } from '../groups/windowFigures';
import { decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { hieradetNames } from './names';

/** Windows of each stage and blocks without windows by the blocks of the stages (Ravi et al. 2024, SAM 2, and timm's entry functions). */
const layouts: Readonly<Record<string, readonly [windows: readonly number[], whole: readonly number[]]>> = {
  '1,2,7,2': [
    [8, 4, 14, 7],
    [5, 7, 9],
  ],
  '1,2,11,2': [
    [8, 4, 14, 7],
    [7, 10, 13],
  ],
  '2,3,16,3': [
    [8, 4, 14, 7],
    [12, 16, 20],
  ],
  '2,6,36,4': [
    [8, 4, 16, 8],
    [23, 33, 43],
  ],
};

const areNumbers = (value: ConfigValue): boolean => [value].flat().every((each) => Number.isInteger(each));

function windowFigures(sources: Sources, depths: readonly number[]): EvidenceRecord {
  const [windows, whole] = layouts[depths.join()] ?? [];
  const first = sources.found.tensors.get('pos_embed_window')!.shape[2]!;
  const source = 'as SAM 2 of these depths';
  return {
    window: decide(sources, 'window', {
      config: ['window_spec'],
      named: [[/^hieradet_/, [8, 4, 16, 8]]],
      otherwise: windows
        ? stored(windows, source)
        : assumed(
            depths.map((_, stage) => Math.max(1, first >> stage)),
            'halved by every stage; only the first is stored, in pos_embed_window',
          ),
      is: (value) => areNumbers(value) && [value].flat().length === depths.length,
      needed: `${depths.length} whole numbers`,
    }),
    global_layers: decide<string | readonly number[]>(sources, 'global_layers', {
      config: ['global_att_blocks'],
      otherwise: whole ? stored(whole, source) : assumed(noLayer, 'not stored in the weights'),
      is: areLayers(depths.reduce((sum, depth) => sum + depth, 0)),
      needed: `numbers of blocks, or ${noLayer},`,
    }),
  };
}

/** Pixels that the sides of a picture are multiples of: one window of the first stage. */
function windowStep(figures: EvidenceRecord): Grid {
  const [strides, windows] = [numbersOf(figures, 'patch_stride'), numbersOf(figures, 'window')];
  return [strides[0]! * windows[0]!, strides.at(-1)! * windows[0]!];
}

function recognise(evidences: Found): Recognised | undefined {
  const sources = sourcesOf(evidences);
  const found = hieraFigures(sources);
  const window = evidences.tensors.get('pos_embed_window')?.shape;
  if (!found || window?.length !== 4) return undefined;
  const { imageSize, figure } = imageSizeOf(sources, [1024, 1024]);
  const figures: EvidenceRecord = {
    ...found,
    ...windowFigures(sources, numbersOf(found, 'depth')),
    resampling: stored('bicubic', 'as timm and SAM 2 do'),
    image_size: figure,
  };
  return recognisedFrom(sources, {
    label: 'hieradet_sam2',
    title: hieraTitle('SAM 2 Hiera', figures),
    evidence: figures,
    imageSize,
    sizeStep: windowStep(figures),
    pixels: 'imagenet',
  });
}

/** Blocks attend within windows of their stage, the first of a stage in those of the stage before it; some see the whole map. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  requireUnits(options.imageSize, windowStep(figures), 'windows');
  const windows = numbersOf(figures, 'window');
  const whole = globalLayers(figures);
  const patches = hieraPatches(b, figures, options);
  const table = windowedPositions(b, 'pos_embed_window', gridOfLayout(patches.layout), 'bicubic');
  const windowsFor = ({ stage, pools }: HieraBlock, index: number, map: Grid): Windows | undefined =>
    whole.has(index) ? undefined : windowsOf(map, windows[stage - Number(pools)]!);
  const tokens = hieraEncoder(b, withPositions(b, patches, table), figures, windowsFor);
  hieraHead(b, tokens, gridSequence(b, tokens), numberOf(figures, 'eps'));
}

/** The image encoder of SAM 2 (Ravi et al. 2024): Hiera with windows instead of mask units, for pictures of any size. */
export const hieradet: Family<Recognised, void> = {
  name: 'hieradet',
  row: 'hiera',
  title: 'SAM 2 Hiera',
  names: hieradetNames,
  assumable: [...hieraAssumable, 'window', 'global_layers'],
  recognise,
  build,
};
