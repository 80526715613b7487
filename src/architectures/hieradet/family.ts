import { at, sum } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { gridOfLayout, gridSequence } from '../blocks/maps';
import type { TokenMaps } from '../blocks/stages';
import { windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import {
  hieraAnswer,
  hieraEncoder,
  hieraMaps,
  hieraPatches,
  windowedPositions,
  withPositions,
  type HieraBlock,
} from '../groups/hieraBlocks';
import {
  hieraAssumable,
  hieraConfig,
  hieraEvidence,
  hieraTitle,
  requireUnits,
  type HieraConfig,
} from '../groups/hieraConfig';
import { areLayers, layersIn, noLayer, type LayersValue } from '../groups/windowedLayers';
import { decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../decide';
import { hieradetNames } from './names';

interface HieradetConfig extends HieraConfig {
  /** Side of each stage's windows. */
  readonly window: readonly number[];
  /** Blocks that see the whole map, counted over all stages. */
  readonly globalLayers: ReadonlySet<number>;
}

/**
 * Windows of each stage and blocks without windows, by the blocks of the stages (Ravi et al. 2024,
 * SAM 2, and timm's entry functions).
 */
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

type WindowEvidence = {
  readonly window: Evidence<readonly number[]>;
  readonly global_layers: Evidence<LayersValue>;
};

/**
 * Windows of the stages, the first of which is `first` by the table of its positions, and blocks
 * without.
 */
function windowEvidence(sources: Sources, depths: readonly number[], first: number): WindowEvidence {
  const [windows, whole] = layouts[depths.join()] ?? [];
  const source = 'as SAM 2 of these depths';
  return {
    window: decide<readonly number[]>(sources, 'window', {
      config: ['window_spec', 'window_size_per_stage'],
      named: [[/^hieradet_/, [8, 4, 16, 8]]],
      otherwise: windows
        ? stored(windows, source)
        : assumed(
            depths.map((_, stage) => Math.max(1, first >> stage)),
            'halved by every stage; only the first is stored, in pos_embed_window',
          ),
      is: (value) => [value].flat().length === depths.length && [value].flat().every(Number.isInteger),
      needed: `${depths.length} whole numbers`,
    }),
    global_layers: decide<LayersValue>(sources, 'global_layers', {
      config: ['global_att_blocks', 'global_attention_blocks'],
      otherwise: whole ? stored(whole, source) : assumed(noLayer, 'not stored in the weights'),
      is: areLayers(sum(depths)),
      needed: `numbers of blocks, or ${noLayer},`,
    }),
  };
}

/** Pixels that the sides of an image are multiples of: one window of the first stage. */
function windowStep({ patchStride, window }: HieradetConfig): Size {
  const side = at(window, 0);
  return [patchStride[0] * side, patchStride[1] * side];
}

function recognise(found: Found): Recognised<HieradetConfig> | undefined {
  const sources = sourcesOf(found);
  const own = hieraEvidence(sources);
  const table = found.tensors.get('pos_embed_window')?.shape;
  if (!own || table?.length !== 4) return undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [1024, 1024]);
  const windows = windowEvidence(sources, own.depth.value, at(table, 2));
  const config: HieradetConfig = {
    ...hieraConfig(own),
    window: numbersIn(windows.window.value),
    globalLayers: layersIn(windows.global_layers.value),
  };
  return recognisedFrom(sources, {
    label: 'hieradet_sam2',
    title: hieraTitle('SAM 2 Hiera', own),
    evidence: {
      ...own,
      ...windows,
      resampling: stored('bicubic', 'as timm and SAM 2 do'),
      image_size: sized,
    },
    config,
    imageSize,
    sizeStep: windowStep(config),
    pixels: 'imagenet',
  });
}

/**
 * Writes blocks that attend within windows of their stage, the first of a stage in those of the
 * stage before it; some see the whole map.
 */
function build(b: GraphBuilder, config: HieradetConfig, options: BuildOptions): TokenMaps {
  const { window, globalLayers } = config;
  requireUnits(options.imageSize, windowStep(config), 'windows');
  const patches = hieraPatches(b, config, options);
  const table = windowedPositions(b, 'pos_embed_window', gridOfLayout(patches.layout), 'bicubic');
  const windowsFor = ({ block, stage, pools }: HieraBlock, map: Grid): Windows | undefined =>
    globalLayers.has(block) ? undefined : windowsOf(map, at(window, stage - Number(pools)));
  const ends = hieraEncoder(b, withPositions(b, patches, table), config, windowsFor);
  return hieraMaps(ends, options.imageSize);
}

/**
 * The image encoder of SAM 2 (Ravi et al. 2024): Hiera with windows instead of mask units, for
 * images of any size.
 */
export const hieradet: Family<HieradetConfig, TokenMaps> = {
  name: 'hieradet',
  row: 'hiera',
  title: 'SAM 2 Hiera',
  names: hieradetNames,
  assumable: [...hieraAssumable, 'window', 'global_layers'],
  recognise,
  build,
  head: (b, { tokens }, { eps }) => hieraAnswer(b, tokens, gridSequence, eps),
};
