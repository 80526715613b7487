import { openAiText } from '../libraries/clip';
import type { Dialect } from '../dialect';

/** Where open_clip keeps a tower by timm. */
const trunk = 'visual.trunk.';

/**
 * timm's models of these dialects as image towers of open_clip's dual encoders (MobileCLIP,
 * ViTamin, CLIP over ConvNeXt …): their names behind `visual.trunk.`, beside them a projection and
 * the text tower.
 */
export function trunksIn(names: readonly string[], dialects: readonly Dialect[]): readonly Dialect[] {
  if (!names.some((name) => name.startsWith(trunk))) return [];
  return dialects
    .filter(({ name, prefix }) => name === 'timm' && prefix === undefined)
    .map((dialect) => ({
      ...dialect,
      inner: dialect,
      name: 'open_clip',
      title: 'open_clip over timm',
      prefix: /^visual\.trunk\./,
      signature: [...dialect.signature, /^logit_scale$/],
      renames: [...dialect.renames, [/^visual\.head\.(.+)$/, 'beside.head.$1'], ...openAiText],
    }));
}
