import { timmNames, transposed, type Dialect, type Rename, type Shapes } from '../dialect';

/**
 * The authors' names by timm's places: stages, the downsamplings before them and conditional
 * positions stand in one list. An entry holds `proj`, `reparam_conv` or `pe`, or numbered blocks.
 */
function byStages(shapes: Shapes): (name: string) => string {
  const downsamplings = new Set<number>();
  const positions = new Set<number>();
  for (const name of shapes.keys()) {
    const [, entry, part] = /^network\.(\d+)\.(proj|pe|reparam_conv)\./.exec(name) ?? [];
    if (part !== undefined) (part === 'proj' ? downsamplings : positions).add(Number(entry));
  }
  const stageOf = (entry: number): number => [...downsamplings].filter((each) => each <= entry).length;
  return (name) =>
    name.replace(/^network\.(\d+)\./, (_, text: string) => {
      const entry = Number(text);
      const place = downsamplings.has(entry) ? 'downsample' : positions.has(entry) ? 'pos_emb' : 'blocks';
      return `stages.${stageOf(entry)}.${place}.`;
    });
}

/** Parts of a module of the authors', and timm's words for them. */
const words: readonly (readonly [from: RegExp, to: string])[] = [
  [/^patch_embed\./, 'stem.'],
  [/^conv_exp\./, 'final_conv.'],
  [/\.rbr_conv\./, '.conv_kxk.'],
  [/\.rbr_scale\./, '.conv_scale.'],
  [/\.rbr_skip\./, '.identity.'],
  [/\.lkb_origin\./, '.large_conv.'],
  [/\.lkb_reparam\./, '.reparam_conv.'],
  [/\.convffn\./, '.mlp.'],
  [/\.se\.reduce\./, '.se.fc1.'],
  [/\.se\.expand\./, '.se.fc2.'],
  [/\.pos_emb\.pe\./, '.pos_emb.pos_enc.'],
  [/\.(layer_scale(?:_[12])?)$/, '.$1.gamma'],
];

const inNetwork: Rename = [
  /^(?:patch_embed|conv_exp|stages)\..+$/,
  (name) => words.reduce((path, [from, to]) => path.replace(from, to), name),
];

/** apple/ml-fastvit, and the image encoder of apple/ml-mobileclip over it. */
const original: Dialect = timmNames(
  'fastvit',
  [
    /^patch_embed\.0\.(?:rbr_conv\.0\.conv|reparam_conv)\.weight$/,
    /^network\.0\.0\.token_mixer\./,
    /^network\.0\.0\.convffn\.conv\.conv\.weight$/,
  ],
  {
    name: 'fastvit',
    title: 'FastViT, MobileCLIP (apple)',
    numbering: byStages,
    renames: [
      inNetwork,
      [/^head\.proj$/, 'head.fc.weight', transposed],
      [/^head\.(weight|bias)$/, 'head.fc.$1'],
    ],
  },
);

/**
 * FastViT and the image encoders of MobileCLIP as timm names them, with the branches of training or
 * one convolution in their place.
 */
export const fastVitNames: readonly Dialect[] = [
  timmNames('fastvit', [
    /^stem\.0\.(?:conv_kxk\.0\.conv|reparam_conv)\.weight$/,
    /^stages\.0\.blocks\.0\.token_mixer\./,
    /^stages\.0\.blocks\.0\.mlp\.conv\.conv\.weight$/,
  ]),
  original,
];
