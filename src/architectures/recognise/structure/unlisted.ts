import type { WrittenItem, WrittenLayout, WrittenVariant } from './written';

/**
 * Layouts of libraries' models that the table's headers are not of: GCViT, in the order in which
 * timm registers its modules.
 */

/** Most convolutions between a stage and the map that its windows are asked with. */
const mostHalvings = 5;

const pair = (name: string, spec = '*'): readonly WrittenItem[] => [
  `${name}.weight:${spec}`,
  `${name}.bias:${spec}`,
];

const linear = (name: string, spec: string): readonly WrittenItem[] => [
  `${name}.weight:${spec}`,
  `${name}.bias:${spec[0] ?? '*'}`,
];

/** A depthwise convolution, a gate and a 1 × 1 convolution, none with a bias. */
const convolutions = (path: string): readonly WrittenItem[] => [
  `${path}.conv_dw.weight:*1**`,
  `${path}.se.fc1.weight:**11`,
  `${path}.se.fc2.weight:**11`,
  `${path}.conv_pw.weight:**11`,
];

function block(scaled: boolean): WrittenVariant {
  const scale = (name: string): readonly WrittenItem[] => (scaled ? [`${name}.gamma:d`] : []);
  return [
    '@',
    ...pair('.norm1', 'd'),
    '.attn.rel_pos.relative_position_bias_table:**',
    ...linear('.attn.qkv', '*d'),
    ...linear('.attn.proj', 'dd'),
    ...scale('.ls1'),
    ...pair('.norm2', 'd'),
    ...linear('.mlp.fc1', '*d'),
    ...linear('.mlp.fc2', 'd*'),
    ...scale('.ls2'),
  ];
}

const reduction = (path: string): readonly WrittenItem[] => [
  ...pair(`${path}.norm1`),
  ...convolutions(`${path}.conv_block`),
  `${path}.reduction.weight:****`,
  ...pair(`${path}.norm2`),
];

/** A stage with so many convolutions before its queries; the last one ends in a norm. */
function stage(halvings: number, place: 'first' | 'between' | 'last'): WrittenVariant {
  const standing = { first: 'fm', between: 'nm', last: 'nl' }[place];
  const global = Array.from({ length: halvings }, (_, index) =>
    convolutions(`.global_block.blocks.conv${index + 1}`),
  );
  return [
    `@${standing}`,
    ...(place === 'first' ? [] : reduction('.downsample')),
    ...global.flat(),
    ['.blocks.#', [block(false), block(true)]],
    ...(place === 'last' ? pair('.norm') : []),
  ];
}

const places = ['first', 'between', 'last'] as const;

const gcvit: WrittenLayout = [
  'timm gcvit GlobalContextVit',
  [
    ...linear('stem.conv1', '****'),
    ...reduction('stem.down'),
    [
      'stages.#',
      places.flatMap((place) =>
        Array.from({ length: mostHalvings + 1 }, (_, halvings) => stage(halvings, place)),
      ),
    ],
    ['?head.fc.', [['@', 'weight:**', 'bias:*']]],
  ],
  [['1', 5]],
];

export const unlisted: readonly WrittenLayout[] = [gcvit];
