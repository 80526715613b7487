import { at } from '../../domain/lists';
import type { Dialect, Shapes } from '../dialect';
import { openMmlab } from '../libraries/openMmlab';

/** timm's names of a convolution and its norm. */
type Unit = readonly [convolution: string, norm: string];

/** Units of a block by OpenMMLab's words: after an expansion, and without one. */
const expanded: Readonly<Record<string, Unit>> = {
  expand_conv: ['conv_pw', 'bn1'],
  depthwise_conv: ['conv_dw', 'bn2'],
  linear_conv: ['conv_pwl', 'bn3'],
  'conv.0': ['conv_pw', 'bn1'],
  'conv.1': ['conv_dw', 'bn2'],
  'conv.2': ['conv_pwl', 'bn3'],
};
const plain: Readonly<Record<string, Unit>> = {
  depthwise_conv: ['conv_dw', 'bn1'],
  linear_conv: ['conv_pw', 'bn2'],
  'conv.0': ['conv_dw', 'bn1'],
  'conv.1': ['conv_pw', 'bn2'],
  conv1: ['conv_exp', 'bn1'],
  conv2: ['conv_pwl', 'bn2'],
  // A block that is one convolution.
  '': ['conv', 'bn1'],
};

/** What a parameter is: its block's own path, its word in the block, and what follows. */
interface Part {
  readonly block: string;
  readonly word: string;
  readonly kind: 'conv' | 'bn';
}

/** How a network of the library numbers its blocks. */
interface Numbered {
  /** Captures the own path of a block, the word of a unit in it, `conv` or `bn`. */
  readonly unit: RegExp;
  /** Captures the own path of a block, and the number of one of the gate's layers. */
  readonly gate: RegExp;
  /** Places of the blocks in order: stage and index. */
  readonly places: (blocks: readonly string[], widthOf: (block: string) => number) => readonly string[];
}

function partOf(name: string, { unit }: Numbered): Part | undefined {
  const [, block, word = '', kind] = unit.exec(name) ?? [];
  return block === undefined ? undefined : { block, word, kind: kind === 'bn' ? 'bn' : 'conv' };
}

/** Numbers in a path, for a file sorted by name has the tenth block before the second. */
const byNumbers = (left: string, right: string): number => {
  const [a, b] = [left, right].map((path) => [...path.matchAll(/\d+/g)].map(Number));
  const apart = (a ?? []).findIndex((number, index) => number !== b?.[index]);
  return apart < 0 ? 0 : (a?.[apart] ?? 0) - (b?.[apart] ?? 0);
};

/** The last unit of a block gives its channels. */
const lastUnits = ['linear_conv', 'conv.2', 'conv.1', 'conv2', ''];

/** Names of a network whose units are told by their words, and by whether a block expands. */
const byWords =
  (numbered: Numbered): NonNullable<Dialect['numbering']> =>
  (shapes: Shapes) => {
    const words = new Map<string, Map<string, number>>();
    for (const [name, shape] of shapes) {
      const part = partOf(name, numbered);
      if (!part || part.kind === 'bn' || shape.length !== 4) continue;
      const known = words.get(part.block) ?? new Map<string, number>();
      words.set(part.block, known.set(part.word, at(shape, 0)));
    }
    const blocks = [...words.keys()].toSorted(byNumbers);
    const widthOf = (block: string): number => {
      const units = words.get(block);
      const last = lastUnits.find((word) => units?.has(word));
      return last === undefined ? 0 : (units?.get(last) ?? 0);
    };
    const found = numbered.places(blocks, widthOf);
    const places = new Map(blocks.map((block, index) => [block, at(found, index)]));
    const namesOf = (block: string): typeof plain => {
      const units = words.get(block);
      return units?.has('expand_conv') || units?.has('conv.2') ? expanded : plain;
    };
    return (name) => {
      const part = partOf(name, numbered);
      const unit = part && namesOf(part.block)[part.word];
      const place = part && places.get(part.block);
      if (unit && place !== undefined)
        return name.replace(numbered.unit, `${place}.${part.kind === 'conv' ? unit[0] : unit[1]}.`);
      const [, gated = '', layer] = numbered.gate.exec(name) ?? [];
      const gate = places.get(gated);
      if (gate === undefined) return name;
      return name.replace(numbered.gate, `${gate}.se.${layer === '1' ? 'conv_reduce' : 'conv_expand'}.`);
    };
  };

/**
 * The library lists blocks by their strides; a stage of timm's begins with a list, and where the
 * width changes.
 */
function byWidths(blocks: readonly string[], widthOf: (block: string) => number): readonly string[] {
  let [stage, index, before] = [-1, 0, ''];
  return blocks.map((block) => {
    const own = `${block.replace(/\.\d+$/, '')} ${widthOf(block)}`;
    [stage, index] = own === before ? [stage, index + 1] : [stage + 1, 0];
    before = own;
    return `blocks.${stage}.${index}`;
  });
}

const words = '(?:(expand_conv|depthwise_conv|linear_conv|conv[12])\\.)?(conv|bn)\\.';

const efficient: Numbered = {
  unit: new RegExp(`^(layers\\.\\d+\\.\\d+)\\.${words}`),
  gate: /^(layers\.\d+\.\d+)\.se\.conv([12])\.(?:conv\.)?/,
  places: byWidths,
};

/** MobileNet V2's blocks stand in stages that count from 1. */
const mobileV2: Numbered = {
  unit: /^(layer\d+\.\d+)\.(conv\.\d)\.(conv|bn)\./,
  gate: /^()$/,
  places: (blocks) =>
    blocks.map((block) =>
      block.replace(/^layer(\d+)\.(\d+)$/, (_, stage, index) => `blocks.${Number(stage) - 1}.${index}`),
    ),
};

/** MobileNet V3's are counted through, stem and last convolution with them. */
const mobileV3: Numbered = {
  unit: /^(layer\d+)\.(expand_conv|depthwise_conv|linear_conv)\.(conv|bn)\./,
  gate: /^(layer\d+)\.se\.conv([12])\.(?:conv\.)?/,
  places: (blocks) => blocks.map((block) => `blocks.0.${Number(block.slice('layer'.length)) - 1}`),
};

const network = /^(?:conv_stem|bn[12]|conv_head|blocks\..+)\.\w+$/;

const shared = {
  ...openMmlab,
  families: ['efficientnet'],
  holders: [[/^(blocks\.\d+\.\d+\.se)$/, '$1.conv_reduce.weight', 2]],
} as const satisfies Partial<Dialect>;

/** OpenMMLab's networks of inverted residuals. */
export const openMmlabNames: readonly Dialect[] = [
  {
    ...shared,
    eps: 1e-3,
    signature: [/^layers\.0\.conv\.weight$/, /^layers\.\d+\.0\.(?:linear_conv|conv2)\.conv\.weight$/],
    numbering: byWords(efficient),
    renames: [
      [network, '$&'],
      [/^layers\.0\.conv\./, 'conv_stem.'],
      [/^layers\.0\.bn\./, 'bn1.'],
      [/^layers\.[1-9]\d*\.conv\./, 'conv_head.'],
      [/^layers\.[1-9]\d*\.bn\./, 'bn2.'],
      [/^head\.fc\./, 'classifier.'],
    ],
  },
  {
    ...shared,
    eps: 1e-5,
    signature: [/^conv1\.conv\.weight$/, /^layer1\.0\.conv\.0\.conv\.weight$/, /^conv2\.conv\.weight$/],
    numbering: byWords(mobileV2),
    renames: [
      [network, '$&'],
      [/^conv1\.conv\./, 'conv_stem.'],
      [/^conv1\.bn\./, 'bn1.'],
      [/^conv2\.conv\./, 'conv_head.'],
      [/^conv2\.bn\./, 'bn2.'],
      [/^head\.fc\./, 'classifier.'],
    ],
  },
  {
    ...shared,
    eps: 1e-3,
    signature: [/^layer0\.conv\.weight$/, /^layer1\.depthwise_conv\.conv\.weight$/],
    numbering: byWords(mobileV3),
    renames: [
      [network, '$&'],
      [/^layer0\.conv\./, 'conv_stem.'],
      [/^layer0\.bn\./, 'bn1.'],
      [/^layer([1-9]\d*)\.conv\./, (_, entry) => `blocks.0.${Number(entry) - 1}.conv.`],
      [/^layer([1-9]\d*)\.bn\./, (_, entry) => `blocks.0.${Number(entry) - 1}.bn1.`],
      [/^head\.layers\.0\.fc\./, 'conv_head.'],
      [/^head\.layers\.1\.fc\./, 'classifier.'],
    ],
  },
];
