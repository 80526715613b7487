import { openAiText } from './clip';
import type { Dialect } from './dialect';

/** Where open_clip keeps a tower by timm. */
const trunk = /^visual\.trunk\./;

/**
 * timm's models as image towers of open_clip's dual encoders (MobileCLIP, ViTamin, CLIP over ConvNeXt …): their names behind `visual.trunk.`,
 * beside them a projection and the text tower.
 */
export function trunksOf(dialects: readonly Dialect[]): readonly Dialect[] {
  return dialects
    .filter(({ name, prefix }) => name === 'timm' && prefix === undefined)
    .map((dialect) => ({
      ...dialect,
      inner: dialect,
      name: 'open_clip',
      title: 'open_clip over timm',
      prefix: trunk,
      signature: [...dialect.signature, /^logit_scale$/],
      renames: [...dialect.renames, [/^visual\.head\.(.+)$/, 'beside.head.$1'], ...openAiText],
    }));
}
