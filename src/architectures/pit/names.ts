import { timmNames, type Dialect } from '../dialect';

const signature = [/^patch_embed\.conv\.weight$/, /^transformers\.0\.blocks\.0\.attn\.qkv\.weight$/];

/** PiT as timm names it, and its authors, who keep the poolings beside the stages. */
export const pitNames: readonly Dialect[] = [
  timmNames('pit', [...signature, /^transformers\.1\.pool\.conv\.weight$/]),
  {
    ...timmNames('pit', [...signature, /^pools\.0\.conv\.weight$/]),
    name: 'pit',
    title: 'PiT (naver-ai)',
    renames: [
      [/^pools\.0\.(.+)$/, 'transformers.1.pool.$1'],
      [/^pools\.1\.(.+)$/, 'transformers.2.pool.$1'],
      [/^(?!pools\.)(.+)$/, '$1'],
    ],
  },
];
