import { timmNames, type Dialect, type Rename } from '../dialect';

const block = 'trunk_output\\.block(\\d+)\\.block\\d+-(\\d+)\\.';

/** A convolution and its norm. */
const unit = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}0\\.`), `${to}conv.`],
  [new RegExp(`^${from}1\\.`), `${to}bn.`],
];

/** RegNet; canonical names are timm's with `stages.1.2` for its `s1.b2`. */
export const regnetNames: readonly Dialect[] = [
  timmNames('regnet', [/^stem\.conv\.weight$/, /^s1\.b1\.conv1\.conv\.weight$/], {
    renames: [
      [/^s(\d)\.b(\d+)\./, 'stages.$1.$2.'],
      [/^(stem|head)\./, '$1.'],
    ],
    modules: [[/^stages\.(\d)\.(\d+)/, 's$1.b$2']],
  }),
  {
    name: 'torchvision',
    title: 'torchvision',
    families: ['regnet'],
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [/^stem\.0\.weight$/, new RegExp(`^${block}f\\.a\\.0\\.weight$`)],
    renames: [
      ...unit('stem\\.', 'stem.'),
      ...unit(`${block}f\\.a\\.`, 'stages.$1.$2.conv1.'),
      ...unit(`${block}f\\.b\\.`, 'stages.$1.$2.conv2.'),
      ...unit(`${block}f\\.c\\.`, 'stages.$1.$2.conv3.'),
      ...unit(`${block}proj\\.`, 'stages.$1.$2.downsample.'),
      [new RegExp(`^${block}f\\.se\\.`), 'stages.$1.$2.se.'],
      [/^fc\./, 'head.fc.'],
    ],
    modules: [[/^stages\.(\d)\.(\d+)\.se$/, 'trunk_output.block$1.block$1-$2.f.se']],
  },
];
