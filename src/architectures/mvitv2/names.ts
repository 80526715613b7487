import { largest } from '../../domain/lists';
import { timmNames, type Dialect, type Shapes } from '../dialect';
import { earlierNorms, openMmlab } from '../libraries/openMmlab';

/** Channels of a block's attention, block by block. */
function widthsOf(shapes: Shapes): readonly number[] {
  const widths: number[] = [];
  for (let index = 0; shapes.has(`blocks.${index}.attn.proj.weight`); index++)
    widths.push(shapes.get(`blocks.${index}.attn.proj.weight`)?.[0] ?? 0);
  return widths;
}

/**
 * The authors count blocks through all stages; a stage begins where attention gets wider. The
 * shortcut of the wider one is projected before the attention if that widens, else before the MLP.
 */
function byStages(shapes: Shapes): (name: string) => string {
  const widths = widthsOf(shapes);
  const starts = widths.flatMap((width, index) =>
    index === 0 || width !== widths[index - 1] ? [index] : [],
  );
  const placeOf = (index: number): string => {
    const stage = starts.filter((start) => start <= index).length - 1;
    return `stages.${stage}.blocks.${index - (starts[stage] ?? 0)}`;
  };
  const shortcutOf = (index: number): string => {
    const read = shapes.get(`blocks.${index}.attn.qkv.weight`)?.[1];
    return read === widths[index] ? 'shortcut_proj_mlp' : 'shortcut_proj_attn';
  };
  return (name) =>
    name.replace(/^blocks\.(\d+)\.(proj\.)?/, (_, index: string, projection: string | undefined) => {
      const shortcut = projection === undefined ? '' : `${shortcutOf(Number(index))}.`;
      return `${placeOf(Number(index))}.${shortcut}`;
    });
}

/** facebookresearch/mvit: images without a class token, as all that are published. */
const original: Dialect = {
  name: 'mvit',
  title: 'MViTv2 (facebookresearch)',
  families: ['mvitv2'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  signature: [
    /^patch_embed\.proj\.weight$/,
    /^blocks\.0\.attn\.pool_q\.weight$/,
    /^blocks\.0\.attn\.rel_pos_h$/,
  ],
  // The class token takes no part in its residual pooling, as it does in timm's.
  absent: [/^cls_token$/, /\.rel_pos_t$/],
  numbering: byStages,
  renames: [
    [/^(?:stages|patch_embed|norm)\./, '$&'],
    [/^head\.projection\./, 'head.fc.'],
  ],
  holders: [[/^(stages\.\d+\.blocks\.\d+)$/, '$1.norm1.weight', 1]],
};

/** OpenMMLab's MViT: the authors' names, with a norm behind each stage that is an output. */
const mmpretrain: Dialect = {
  ...original,
  ...openMmlab,
  signature: [
    /^patch_embed\.projection\.weight$/,
    /^blocks\.0\.attn\.pool_q\.weight$/,
    /^blocks\.0\.attn\.rel_pos_h$/,
  ],
  numbering: (shapes) => {
    const numbered = byStages(shapes);
    const norms = [...shapes.keys()].flatMap((name) => /^norm(\d+)\./.exec(name)?.[1] ?? []);
    const last = `norm${largest(norms.map(Number))}.`;
    return (name) => (name.startsWith(last) ? name.replace(last, 'norm.') : numbered(name));
  },
  renames: [
    [/^patch_embed\.projection\./, 'patch_embed.proj.'],
    [/^(?:stages|norm)\./, '$&'],
    earlierNorms,
    [/^head\.fc\./, 'head.fc.'],
  ],
};

/** MViTv2 as timm and its authors name it. */
export const mvitv2Names: readonly Dialect[] = [
  timmNames('mvitv2', [
    /^stages\.0\.blocks\.0\.attn\.pool_q\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.rel_pos_h$/,
    /^patch_embed\.proj\.weight$/,
  ]),
  original,
  mmpretrain,
];
