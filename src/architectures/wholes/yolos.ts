import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { asSequence, linearLayers } from '../blocks/projectedAttention';
import type { Maps } from '../blocks/stages';
import { countOf, shapeOf } from '../decide';
import { stored } from '../evidence';
import { type FoundWhole, type PartContext, type Whole } from '../whole';
import { titleAround } from './detectors';

interface YolosHeads {
  readonly queries: number;
}

const classHead = 'class_labels_classifier';
const tokens = 'vit.embeddings.detection_tokens';

function recognise(found: FoundWhole) {
  const [, queries = 0, dim = 0] = shapeOf(found.tensors, tokens);
  const last = `${classHead}.layers.${countOf(found.tensors, `${classHead}.layers`) - 1}.weight`;
  const [outputs = 0] = shapeOf(found.tensors, last);
  return {
    label: 'yolos',
    title: titleAround('YOLOS', found),
    evidence: {
      dim: stored(dim, tokens),
      queries: stored(queries, tokens),
      classes: stored(outputs - 1, `${last}, less "no object"`),
    },
    config: { queries },
    reading: { task: 'detect', rule: 'softmax' } as const,
  };
}

const hasTokens = (maps: Maps): maps is Maps & { readonly tokens: Tokens } => 'tokens' in maps;

/** Reads classes and boxes off the tokens behind the patches (Fang et al. 2021, YOLOS, §3.1). */
function build(b: GraphBuilder, { queries }: YolosHeads, { backbone, batch }: PartContext): void {
  const maps = backbone();
  if (!hasTokens(maps)) throw new Error('YOLOS reads tokens, and its backbone hands back none');
  const all = sequence(b, maps.tokens);
  const [, count, dim] = [0, 1, 2].map((axis) => at(all.shape, axis)) as [number, number, number];
  const asked = b.reshape(b.slice(all, 1, count - queries, count), [batch * queries, dim]);
  b.output('logits', asSequence(b, linearLayers(b, asked, classHead), batch), 'logits');
  const boxes = b.add('Sigmoid', [linearLayers(b, asked, 'bbox_predictor')]);
  b.output('pred_boxes', asSequence(b, boxes, batch), 'boxes');
  b.output('tokens', all, 'tokens');
}

/** YOLOS (Fang et al. 2021): a plain transformer whose last tokens answer a box each. */
export const yolos: Whole<YolosHeads> = {
  name: 'yolos',
  title: 'YOLOS',
  task: 'detect',
  isTower: true,
  signature: [tokens, `${classHead}.layers.0.weight`, 'bbox_predictor.layers.0.weight'],
  assumable: [],
  recognise,
  parts: [{ name: 'whole', build }],
};
