import { at, product } from '../domain/lists';
import { tokenCount } from '../domain/probes';
import type { Grid } from '../domain/size';
import { outputName, valueOf } from '../graph/graph';
import { residualStream, type ResidualStream } from '../graph/find/residualStream';
import { readersOf } from '../graph/find/headOutputs';
import { operatorOf } from '../graph/operators';
import { imageGrid } from '../attention/tokenLayout';
import type { Explained, Values } from './explained';

/** Why a model has no one residual stream; undefined if it has. */
export function whyNoStream({ graph, probes }: Explained): string | undefined {
  if (probes.length === 0) return 'it has no attention';
  return residualStream(graph) ? undefined : 'it has no one residual stream over the same tokens';
}

export function streamOf({ graph }: Explained): ResidualStream {
  const stream = residualStream(graph);
  if (!stream) throw new Error('it has no one residual stream over the same tokens');
  return stream;
}

/** The tokens of the stream: special ones in front, then patches on a grid. */
export interface StreamTokens {
  readonly tokens: number;
  readonly width: number;
  readonly special: number;
  /** Undefined if patches do not lie on the image. */
  readonly grid?: Grid;
}

export function tokensOf(explained: Explained): StreamTokens {
  const { blocks, last } = streamOf(explained);
  const { shape } = valueOf(explained.graph, last);
  const layout = at(blocks, 0).probe.queries;
  const [special, grid, tokens] = [layout.special?.length ?? 0, imageGrid(layout), tokenCount(layout)];
  const isPlain = grid && !layout.sequenceFirst && tokens === special + product(grid);
  return { tokens, width: at(shape, shape.length - 1), special, ...(isPlain && { grid }) };
}

/** The patches of a value of the stream, without special tokens. */
export function patchesOf({ special, width }: StreamTokens, { data }: Values): Float64Array {
  return Float64Array.from(data.subarray(special * width));
}

/** Name of the stream behind the final norm; of the stream itself if tokens have none. */
export function finalTokens(explained: Explained): { readonly value: string; readonly isNormed: boolean } {
  const { graph } = explained;
  const { last } = streamOf(explained);
  const norm = (readersOf(graph).get(last) ?? []).find((node) => operatorOf(node)?.kind === 'normalisation');
  return norm ? { value: outputName(norm), isNormed: true } : { value: last, isNormed: false };
}

/** The stream before each block and behind the last one. */
export function streamValues(explained: Explained): Promise<readonly Values[]> {
  const { blocks, last } = streamOf(explained);
  return explained.once('stream', () => explained.values([...blocks.map(({ input }) => input), last]));
}
