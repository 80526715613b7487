import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import {
  axialRotation,
  mixedRotation,
  type Coordinates,
  type Pairing,
  type Rotation,
} from '../blocks/rotary';
import type { BuildOptions, EvidenceRecord, Family, Recognised } from '../family';
import { numberOf, numbersOf, pairOf, wordOf } from '../figures';
import { blocks, notes } from '../groups/evaBlocks';
import { recogniseEva } from './figures';
import { plainAnswer } from '../groups/plainAnswer';
import { embed } from '../groups/plainEmbedding';
import { evaNames } from './names';

function coordinatesOf(figures: EvidenceRecord): Coordinates & { readonly pairing: Pairing } {
  return {
    kind: wordOf(figures, 'rope') === 'centred' ? 'centred' : 'index',
    indexing: wordOf(figures, 'rope_indexing') as Coordinates['indexing'],
    offset: numberOf(figures, 'rope_offset'),
    pairing: wordOf(figures, 'rope_pairing') as Pairing,
    ...(figures['rope_ref_grid'] && { reference: pairOf(figures, 'rope_ref_grid') as Grid }),
  };
}

/** How the blocks' queries and keys are turned, block by block; undefined where they are not. */
function rotationsOf(
  b: GraphBuilder,
  { layout }: Tokens,
  figures: EvidenceRecord,
  heads: number,
): (block: number) => Rotation | undefined {
  const kind = wordOf(figures, 'rope');
  if (kind === 'none') return () => undefined;
  const coordinates = coordinatesOf(figures);
  if (kind === 'mixed') {
    const [, depth, , pairs] = b.shapeOf('rope.freqs') as readonly [number, number, number, number];
    const frequencies = b.split(b.parameter('rope.freqs', [2, depth, heads, pairs]), depth, 1);
    return (block) =>
      mixedRotation(b, layout, b.reshape(frequencies[block]!, [2, heads, pairs]), coordinates);
  }
  const width = numberOf(figures, 'head_dim');
  const temperature = numberOf(figures, 'rope_temperature');
  const rotation = axialRotation(b, layout, width, { ...coordinates, temperature });
  return () => rotation;
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const [heads, poolHeads] = numbersOf(figures, 'heads');
  const settings = {
    heads: heads!,
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  const order = wordOf(figures, 'norm_order') as keyof typeof blocks;
  let tokens = embed(b, figures, options);
  const rotationOf = rotationsOf(b, tokens, figures, heads!);
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    const from = tokens;
    const rotation = rotationOf(index);
    const value = b.scope(
      `blocks.${index}`,
      () => blocks[order](b, from, { ...settings, ...(rotation && { rotation }) }),
      notes[order],
    );
    tokens = withValue(tokens, value);
  }
  const last = withValue(tokens, maybeNorm(b, tokens.value, 'norm', settings.eps));
  plainAnswer(b, last, {
    ...figures,
    heads: { ...figures['heads']!, value: poolHeads ?? heads! },
    activation: { ...figures['activation']!, value: 'gelu' },
  });
}

/**
 * What timm's eva.py builds: EVA (Fang et al. 2022), EVA-02 (2023) and transformers with rotary positions: DINOv3 (Siméoni et al. 2025),
 * Perception Encoder (Bolya et al. 2025), RoPE-ViT (Heo et al. 2024) and others. No weight but learned frequencies tells the rotation.
 */
export const eva: Family<Recognised, void> = {
  name: 'eva',
  title: 'EVA and rotary transformers',
  names: evaNames,
  idle: /^(?:mask_token|local_cls_norm\.(?:weight|bias))$/,
  assumable: [
    'heads',
    'pool',
    'eps',
    'activation',
    'norm_order',
    'grid',
    'rope',
    'rope_temperature',
    'rope_ref_grid',
    'rope_indexing',
    'rope_offset',
    'rope_pairing',
  ],
  recognise: recogniseEva,
  build,
};
