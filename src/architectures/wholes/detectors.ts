import { last } from '../../domain/lists';
import type { TokenLayout } from '../../domain/probes';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { type Tokens } from '../blocks/layers';
import { mapToTokens, tokensToMap } from '../blocks/maps';
import { maskedSines, sineTable, type SinePositions } from '../blocks/sinePositions';
import type { Stage } from '../blocks/stages';
import { countOf, knownActivation, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import { resolvePreprocessing } from '../../preprocessing/resolve';
import { resizedSize } from '../../preprocessing/steps';
import type { Evidence } from '../family';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext } from '../whole';
import { placesRoom, room } from '../../graph/limits';

/** What a model around a backbone is called: `DETR, ResNet-50 backbone`. */
export const titleAround = (title: string, found: FoundWhole): string =>
  `${title}, ${backboneTitle(found)} backbone`;

/** What the file itself calls a tensor. */
export const ofFile = ({ tensors }: FoundWhole, name: string): string =>
  tensors.get(name)?.tensor.name ?? name;

/** A side of a tensor's shape, by the tensor's own name in the file. */
export function sideOf(found: FoundWhole, name: string, axis: number): Evidence<number> {
  return stored(shapeOf(found.tensors, name)[axis] ?? 0, ofFile(found, name));
}

/** Modules in the list `path.0`, `path.1` …, by what the file calls the list. */
export function layersOf(found: FoundWhole, path: string): Evidence<number> {
  const [first] = [...found.tensors].find(([name]) => name.startsWith(`${path}.0.`)) ?? [`${path}.0.`];
  const own = ofFile(found, first);
  const list = own.startsWith(`${path}.`) ? path : (/^(.+?)\.\d+\./.exec(own)?.[1] ?? path);
  return stored(countOf(found.tensors, path), `${list}.*`);
}

/** Hyper-parameters that the encoder and decoder of DETR and its relatives have. */
export function transformerOf(found: FoundWhole, { dim }: { readonly dim: Evidence<number> }) {
  return {
    depth: layersOf(found, 'model.encoder.layers'),
    decoder_depth: layersOf(found, 'model.decoder.layers'),
    dim,
    heads: headsOfWhole(found, 'heads', dim.value, { config: ['encoder_attention_heads'] }),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim.value, { config: ['decoder_attention_heads'] }),
    dilation: dilationOf(found),
  };
}

/** What `assume` may set of them. */
export const transformerAssumable = ['heads', 'decoder_heads', 'activation', 'dilation'] as const;

/** Stride of the maps of a dilated last stage. */
const dilatedStride = 16;

/**
 * Whether the backbone's last stage dilates instead of striding (Carion et al. 2020, DC5): no
 * weight tells.
 */
export function dilationOf(found: FoundWhole): Evidence<boolean> {
  const { config } = found.found.checkpoint.sidecars;
  const { output_stride: stride } = (config?.['backbone_config'] ?? {}) as {
    readonly output_stride?: unknown;
  };
  const otherwise =
    stride === dilatedStride
      ? stored(true, 'config.json: backbone_config.output_stride')
      : config
        ? stored(false, 'config.json names no dilation')
        : assumed(false, 'a dilated last stage (DC5) has the same weights');
  return settle<boolean>(found, 'dilation', {
    config: ['dilation'],
    otherwise,
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });
}

/** Activation of the linear layers: config.json, else as published. */
export const activationOf = (
  found: FoundWhole,
  paper: string,
  [published = 'relu', ...keys]: readonly string[] = [],
  key = 'activation',
): Evidence<string> =>
  settle<string>(found, key, {
    config: keys.length > 0 ? keys : ['activation_function'],
    otherwise: stored(published, `as published (${paper})`),
    ...knownActivation,
  });

/** The image that sizes are told by: most pictures of cameras and of COCO are 4:3. */
const usualImage = { height: 480, width: 640 };

/**
 * Image size, model_type and their evidence: what the processor beside the weights, else the usual
 * one of the model_type, makes of an image of 640 × 480.
 */
export function seenAs({ found }: FoundWhole, modelType: string) {
  const { sidecars } = found.checkpoint;
  const { steps, inputSize } = resolvePreprocessing({
    sidecars,
    fileName: '',
    dialect: 'transformers',
    modelType,
  });
  const resized = steps.reduce(
    (size, step) => (step.kind === 'resize' ? resizedSize(step, size) : size),
    usualImage,
  );
  const size: Size = inputSize ?? [resized.height, resized.width];
  const isStated = sidecars.preprocessor !== undefined;
  const why = inputSize
    ? 'as published'
    : `what ${isStated ? 'preprocessor_config.json' : 'the usual processor'} makes of a 4:3 image; others run at theirs`;
  const source = 'preprocessor_config.json: size';
  return {
    modelType,
    imageSize: size,
    evidence: { image_size: inputSize && isStated ? stored(size, source) : assumed(size, why) },
  };
}

/** The map of a stage `[batch, width, rows, columns]`. */
export const mapOf = (b: GraphBuilder, { value }: Stage): ValueInfo =>
  'layout' in value ? tokensToMap(b, value) : value;

/** Rows of a table once for each image of a batch: `[batch · rows, width]`. */
export function repeated(b: GraphBuilder, table: ValueInfo, batch: number): ValueInfo {
  return batch === 1 ? table : b.concat(Array<ValueInfo>(batch).fill(table), 0);
}

/** A learned table `[rows, width]` once for each image of a batch. */
export const queryTable = (b: GraphBuilder, name: string, batch: number): ValueInfo =>
  repeated(b, b.parameter(name), batch);

/** Object queries `[batch · queries, dim]` that begin as zeros. */
export function emptyQueries(b: GraphBuilder, batch: number, count: number, dim: number): Tokens {
  const value = b.constant(
    'model.queries',
    'F32',
    [batch * count, dim],
    new Float32Array(room(batch * count * dim)),
  );
  return { value, batch, count, layout: queryLayout(count) };
}

export const queryLayout = (queries: number): TokenLayout => ({ special: [], queries });

const learnedTables = ['model.backbone.position_embedding', 'model.position_embedding'] as const;

/** Where a file keeps learned positions of rows and columns, if it does. */
export const learnedPositions = ({ tensors }: Pick<FoundWhole, 'tensors'>): string | undefined =>
  learnedTables.find((name) => tensors.has(`${name}.row_embeddings.weight`));

/**
 * Learned positions of the places of a map, columns first (Carion et al. 2020, code),
 * `[batch · places, dim]`.
 */
function learnedTable(b: GraphBuilder, [rows, columns]: Grid, batch: number): ValueInfo | undefined {
  const at = learnedTables.find((name) => b.has(`${name}.row_embeddings.weight`));
  if (at === undefined) return undefined;
  const side = (name: string, count: number, shape: readonly number[]): ValueInfo => {
    const table = b.parameter(`${at}.${name}_embeddings.weight`);
    const width = last(table.shape);
    const used = b.reshape(b.slice(table, 0, 0, count), [...shape, width]);
    return b.add('Expand', [used, b.indices([rows, columns, width])]);
  };
  const both = b.concat([side('column', columns, [1, columns]), side('row', rows, [rows, 1])], 2);
  return repeated(b, b.reshape(both, [rows * columns, last(both.shape)]), batch);
}

/**
 * Which pixels of a batch are the images' own, `[batch, height, width]`: an input, if somebody says
 * that some are not.
 */
export const pixelMask = (
  b: GraphBuilder,
  { lengths, batch, imageSize }: Pick<PartContext, 'lengths' | 'batch' | 'imageSize'>,
): ValueInfo | undefined => (lengths['masked'] ? b.input('pixel_mask', [batch, ...imageSize]) : undefined);

/** Every place of a map by the pixel that stands for it, as torch's `interpolate` takes nearest. */
function maskOfPlaces(b: GraphBuilder, mask: ValueInfo, [rows, columns]: Grid): ValueInfo {
  const [, height = 0, width = 0] = mask.shape;
  const every = (side: number, count: number): ValueInfo =>
    b.indices(Array.from({ length: placesRoom(count) }, (_, index) => Math.floor((index * side) / count)));
  const down = b.add('Gather', [mask, every(height, rows)], { axis: int(1) });
  return b.add('Gather', [down, every(width, columns)], { axis: int(2) });
}

/** Beside it, no score of an attention counts. */
const nothing = -1e9;

/**
 * A projected map as tokens, and the positions of their places; by a mask of pixels places that
 * only fill up a batch are not looked at, nor counted.
 */
export function placedTokens(
  b: GraphBuilder,
  map: ValueInfo,
  positions: Omit<SinePositions, 'width'>,
  pixels?: ValueInfo,
): readonly [tokens: Tokens, positions: ValueInfo] {
  const tokens = mapToTokens(b, map);
  const [batch = 1, dim = 0, rows = 0, columns = 0] = map.shape;
  const sines = { ...positions, width: dim / 2 };
  const mask = pixels && maskOfPlaces(b, pixels, [rows, columns]);
  const table =
    learnedTable(b, [rows, columns], batch) ??
    (mask ? maskedSines(b, mask, sines) : sineTable(b, 'model.positions', [rows, columns], batch, sines));
  if (!mask) return [tokens, table];
  const taken = b.add('Mul', [b.add('Sub', [b.scalar(1), mask]), b.scalar(nothing)]);
  return [{ ...tokens, unseen: b.reshape(taken, [batch, 1, 1, rows * columns]) }, table];
}
