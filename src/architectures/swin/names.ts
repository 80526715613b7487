import { timmNames, type Dialect } from '../dialect';
import { block, common, openMmlab, original, timmStages, torchvision, transformers } from '../libraries/swin';

const table = 'relative_position_bias_table';

const transformersSwin = transformers('swin', table);

/** Swin under the names that transformers 5 holds in memory. */
const transformers5: Dialect = {
  ...transformersSwin,
  name: 'transformers-5',
  title: 'Hugging Face transformers 5',
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    new RegExp(`${block}attention\\.relative_position_bias\\.relative_position_bias_table$`),
  ],
  modules: [[/^layers\.(\d+)\.blocks\.(\d+)$/, 'encoder.layers.$1.blocks.$2.attention']],
};

/** Swin Transformers of the first version. */
export const swinNames: readonly Dialect[] = [
  original('swin', table),
  openMmlab('swin', table, 'end'),
  transformersSwin,
  transformers5,
  torchvision('swin', table, [['(attn\\.qkv\\.bias)', '$2']]),
  timmNames('swin', [...timmStages, new RegExp(`^layers\\.0\\.blocks\\.0\\.attn\\.${table}$`)], common),
];
