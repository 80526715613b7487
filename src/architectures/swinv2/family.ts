import { at, last } from '../../domain/lists';
import { bothSides } from '../../domain/probes';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { TokenMaps } from '../blocks/stages';
import { configuredArchitecture, configuredImageSize } from '../config';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import { continuousBias, postNormBlock, storedWindow } from '../groups/cosineWindows';
import { inPatches } from '../groups/patchGrid';
import {
  isWindow,
  lastNorm,
  recognisedShifted,
  shiftedAssumable,
  shiftedConfig,
  shiftedEvidence,
  shiftedHead,
  shiftedMaps,
  shiftedStages,
  unfoldsIn,
  windowFitOf,
  windowsByStage,
  type ShiftedConfig,
  type WindowFit,
  type WindowValue,
} from '../groups/shiftedWindows';
import { decide, imageSizeOf, namesOf, sourcesOf, type Sources } from '../decide';
import { swinv2Names } from './names';

const fitOf: Readonly<Partial<Record<string, WindowFit>>> = {
  transformers: 'rows',
  torchvision: 'never',
  mmpretrain: 'smaller side',
};

/**
 * What published names hold: `swinv2_base_window12to16_192to256`, `swinv2-tiny-patch4-window8-256`.
 */
const named: readonly (readonly [name: RegExp, window: number, trained: readonly number[]])[] = [
  [/window12to16/, 16, [12, 12, 12, 6]],
  [/window12to24/, 24, [12, 12, 12, 6]],
  [/window16/, 16, [0, 0, 0, 0]],
  [/window12/, 12, [0, 0, 0, 0]],
  [/window8/, 8, [0, 0, 0, 0]],
];

interface Swinv2Config extends ShiftedConfig {
  /** Window of each stage, if it is not clipped to a small map. */
  readonly window: readonly Grid[];
  /** Side of each stage's window in the training; 0 if it is the window itself. */
  readonly pretrainedWindow: readonly number[];
  /** Patches of the configured image, to whose maps transformers fits the windows. */
  readonly patches: Grid | undefined;
}

/**
 * Windows of bare weights: nothing in them shows the window, so that models of one size with
 * different windows have the same header. The published models take a window of a sixteenth of the
 * image's side, or of half of that.
 */
function likelyWindow(sources: Sources): Evidence<number> {
  const windows = namesOf(sources).map((name) => named.find(([pattern]) => pattern.test(name))?.[1]);
  const [first] = windows;
  const [height] = imageSizeOf(sources, [256, 256]).imageSize;
  const why = 'not stored in the weights';
  return first !== undefined && windows.every((each) => each === first)
    ? assumed(first, `as ${namesOf(sources)[0]}; ${why}`)
    : assumed(Math.max(1, Math.floor(height / 16)), `a sixteenth of the image's height; ${why}`);
}

type WindowEvidence = Readonly<Record<'window' | 'pretrained_window', Evidence<WindowValue>>>;

function windowEvidence(sources: Sources, stages: number): WindowEvidence {
  const { found } = sources;
  const told = storedWindow(found, 'layers.0.blocks.0');
  // A name in config.json is one model's; names found by shapes are all that have them, whatever
  // their window.
  const byName = configuredArchitecture(found.checkpoint) === undefined ? [] : named;
  const untrained = new Array<number>(stages).fill(0);
  return {
    window: decide<WindowValue>(sources, 'window', {
      config: ['window_size'],
      named: byName.map(([name, window]) => [name, window]),
      otherwise: told ?? likelyWindow(sources),
      is: (value) => isWindow(value, stages),
      needed: 'a number, rows and columns, or a number for each stage',
    }),
    pretrained_window: decide<WindowValue>(sources, 'pretrained_window', {
      config: ['pretrained_window_sizes'],
      named: byName.map(([name, , trained]) => [name, trained]),
      otherwise: told
        ? stored(untrained, `coordinates are stored: ${told.source}`)
        : assumed(untrained, 'trained with the same windows; not stored in the weights'),
      // A list that is longer than the model is deep is read from its beginning.
      is: (value) => numbersIn(value).length >= stages,
      needed: `a number for each of ${stages} stages, 0 where it is the window itself`,
    }),
  };
}

/** Whole patches of the image that config.json states. */
function configuredPatches({ checkpoint }: Found, patch: Grid): Grid | undefined {
  const stated = configuredImageSize(checkpoint);
  return stated && inPatches(stated.size, patch);
}

function recognise(found: Found): Recognised<Swinv2Config> | undefined {
  const sources = sourcesOf(found);
  const shifted = shiftedEvidence(sources, {
    stages: 'layers',
    heads: (path) => ({ name: `${path}.attn.logit_scale`, axis: 0 }),
  });
  if (!shifted) return undefined;
  const stages = shifted.depth.value.length;
  const settled = { ...shifted, ...windowEvidence(sources, stages) };
  return recognisedShifted(sources, settled, {
    label: 'swinv2',
    name: 'Swin V2',
    config: {
      ...shiftedConfig(shifted, windowFitOf(found, fitOf)),
      unfolds: unfoldsIn(found),
      window: windowsByStage(settled.window.value, stages),
      pretrainedWindow: numbersIn(settled.pretrained_window.value),
      patches: configuredPatches(found, bothSides(shifted.patch.value)),
    },
    usual: [256, 256],
    windows: [...new Set(named.map(([, window]) => window))],
  });
}

function build(b: GraphBuilder, config: Swinv2Config, options: BuildOptions): TokenMaps {
  const { window, pretrainedWindow, patches, eps } = config;
  const ends = shiftedStages(b, config, options, {
    list: 'layers',
    window: (stage) => at(window, stage),
    fitted: (stage) => patches && [patches[0] >> stage, patches[1] >> stage],
    block: (tokens, place) =>
      postNormBlock(b, tokens, place, () =>
        continuousBias(b, place.windows.size, at(pretrainedWindow, place.stage)),
      ),
  });
  return shiftedMaps(ends, lastNorm(b, last(ends), eps), options.imageSize);
}

/** Swin Transformer V2 (Liu et al. 2022). */
export const swinv2: Family<Swinv2Config, TokenMaps> = {
  name: 'swinv2',
  title: 'Swin Transformer V2',
  names: swinv2Names,
  idle: /^mask_token$/,
  assumable: [...shiftedAssumable, 'pretrained_window'],
  recognise,
  build,
  head: shiftedHead,
};
