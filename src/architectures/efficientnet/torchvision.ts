import type { Dialect, Shapes } from '../dialect';

/** A convolution by its kernel: of 1 × 1, one channel each, or neither. */
type Kind = 'pointwise' | 'depthwise' | 'full';

/** Convolutions of a block in order, and timm's names for them and their norms. */
const kinds: Readonly<Record<string, readonly (readonly [convolution: string, norm: string])[]>> = {
  'pointwise depthwise pointwise': [
    ['conv_pw', 'bn1'],
    ['conv_dw', 'bn2'],
    ['conv_pwl', 'bn3'],
  ],
  'depthwise pointwise': [
    ['conv_dw', 'bn1'],
    ['conv_pw', 'bn2'],
  ],
  'full pointwise': [
    ['conv_exp', 'bn1'],
    ['conv_pwl', 'bn2'],
  ],
  full: [['conv', 'bn1']],
};

function kindOf([, width = 0, side = 0]: readonly number[]): Kind {
  if (side === 1) return 'pointwise';
  return width === 1 ? 'depthwise' : 'full';
}

/** Modules by their own path -> canonical path. */
type Paths = Map<string, string>;

/** Convolutions and gate of a block: `at` is its own path, `to` the canonical one. */
interface Parts {
  readonly at: string;
  readonly to: string;
  /** Paths of convolution and norm of each unit, and the kernel. */
  readonly units: readonly (readonly [convolution: string, norm: string, shape: readonly number[]])[];
  /** Path of squeeze and excitation. */
  readonly gate?: string;
}

function nameBlock(paths: Paths, { to, units, gate }: Parts): void {
  const names = kinds[units.map(([, , shape]) => kindOf(shape)).join(' ')] ?? [];
  for (const [index, [convolution, norm]] of units.entries()) {
    const [conv, bn] = names[index] ?? [];
    if (conv !== undefined) paths.set(convolution, `${to}.${conv}`);
    if (bn !== undefined) paths.set(norm, `${to}.${bn}`);
  }
  if (gate === undefined) return;
  paths.set(`${gate}.fc1`, `${to}.se.conv_reduce`);
  paths.set(`${gate}.fc2`, `${to}.se.conv_expand`);
}

/** Entries of the list `features` that are blocks: own path, stage and index, parts below. */
interface Listed {
  /** Captures the entry of the list, the index in its stage (empty without stages), the part. */
  readonly part: RegExp;
  /** Own path of a unit's norm by that of its convolution. */
  readonly normOf: (convolution: string) => string;
}

/** A list in a block, whose units are lists of convolution and norm. */
const listed: Listed = {
  part: /^(features\.(\d+)(?:\.(\d+))?)\.block\.(\d+)\.(?:0\.weight$|fc1\.weight$)/,
  normOf: (convolution) => convolution.replace(/0$/, '1'),
};

/** MobileNet V2's, whose last convolution and norm stand in the block's own list. */
const mobile: Listed = {
  part: /^(features\.(\d+))()\.conv\.(\d+)\.(?:0\.)?weight$/,
  normOf: (convolution) =>
    convolution.replace(/\.conv\.(\d+)(\.0)?$/, (_, index: string, inner: string | undefined) =>
      inner === undefined ? `.conv.${Number(index) + 1}` : `.conv.${index}.1`,
    ),
};

/** Blocks by their own paths, in the order of the file. */
function blocksIn(shapes: Shapes, { part, normOf }: Listed): ReadonlyMap<string, Parts> {
  const blocks = new Map<string, Parts>();
  for (const [name, shape] of shapes) {
    const [, own, entry, index] = part.exec(name) ?? [];
    // Norms of MobileNet V2 have weights under the same names, but no kernel.
    if (own === undefined || shape.length !== 4) continue;
    const list = Number(entry) - 1;
    const to = index === undefined || index === '' ? `blocks.0.${list}` : `blocks.${list}.${index}`;
    const known = blocks.get(own) ?? { at: own, to, units: [] };
    const module = name.slice(0, name.lastIndexOf('.'));
    const gate = module.endsWith('.fc1') ? module.slice(0, -'.fc1'.length) : undefined;
    blocks.set(
      own,
      gate === undefined
        ? { ...known, units: [...known.units, [module, normOf(module), shape]] }
        : { ...known, gate },
    );
  }
  return blocks;
}

/** The convolution behind all blocks: an entry of the list that is none of them. */
function lastEntry(shapes: Shapes): number {
  const entries = [...shapes.keys()].map((name) =>
    Number(/^features\.([1-9]\d*)\.0\.weight$/.exec(name)?.[1] ?? 0),
  );
  return entries.reduce((most, entry) => Math.max(most, entry), 0);
}

/** Names of a network whose blocks are told by their kernels; `last` names what follows them. */
function byKernels(
  kind: Listed,
  last: (entry: number) => readonly [convolution: string, norm: string],
): (shapes: Shapes) => (name: string) => string {
  return (shapes) => {
    const paths: Paths = new Map([
      ['features.0.0', 'conv_stem'],
      ['features.0.1', 'bn1'],
    ]);
    for (const block of blocksIn(shapes, kind).values()) nameBlock(paths, block);
    const entry = lastEntry(shapes);
    const [convolution, norm] = last(entry);
    paths.set(`features.${entry}.0`, convolution);
    paths.set(`features.${entry}.1`, norm);
    return (name) => {
      const end = name.lastIndexOf('.');
      const to = paths.get(name.slice(0, end));
      return to === undefined ? name : `${to}${name.slice(end)}`;
    };
  };
}

const shared = {
  name: 'torchvision',
  title: 'torchvision',
  families: ['efficientnet'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
} as const satisfies Partial<Dialect>;

const network = /^(?:conv_stem|bn[12]|conv_head|blocks\..+)\.\w+$/;

const conv = ['conv_head', 'bn2'] as const;

/** MobileNet V3's last layer of 1 × 1 counts as a block. */
const thinLast = (entry: number): readonly [convolution: string, norm: string] => [
  `blocks.0.${entry - 1}.conv`,
  `blocks.0.${entry - 1}.bn1`,
];

/** A gate holds two layers. */
const holders = [[/^(blocks\.\d+\.\d+\.se)$/, '$1.conv_reduce.weight', 1]] as const;

/** torchvision's networks of inverted residuals. */
export const torchvisionNames: readonly Dialect[] = [
  {
    ...shared,
    signature: [/^features\.0\.0\.weight$/, /^features\.1\.0\.block\.0\.0\.weight$/],
    numbering: byKernels(listed, () => conv),
    renames: [
      [network, '$&'],
      [/^classifier\.1\./, 'classifier.'],
    ],
    holders,
  },
  {
    ...shared,
    signature: [/^features\.0\.0\.weight$/, /^features\.1\.block\.0\.0\.weight$/],
    numbering: byKernels(listed, thinLast),
    renames: [
      [network, '$&'],
      [/^classifier\.0\./, 'conv_head.'],
      [/^classifier\.3\./, 'classifier.'],
    ],
    holders,
  },
  {
    ...shared,
    signature: [/^features\.0\.0\.weight$/, /^features\.1\.conv\.0\.0\.weight$/],
    numbering: byKernels(mobile, () => conv),
    renames: [
      [network, '$&'],
      [/^classifier\.1\./, 'classifier.'],
    ],
    holders,
  },
];

/** The numbering of a network whose list stands at `at` inside of another model. */
const listedAt =
  (at: string, numbering: NonNullable<Dialect['numbering']>): NonNullable<Dialect['numbering']> =>
  (shapes) => {
    const asFeatures = (name: string): string => `features.${name.slice(at.length)}`;
    const own = [...shapes].filter(([name]) => name.startsWith(at));
    const number = numbering(new Map(own.map(([name, shape]) => [asFeatures(name), shape])));
    return (name) => (name.startsWith(at) ? `${at}${number(asFeatures(name))}` : name);
  };

/** MobileNet V3 as the backbone of torchvision's segmenters: its list alone. */
export const torchvisionMobileNetBackbone: Dialect = {
  ...shared,
  signature: [/^0\.0\.weight$/, /^1\.block\.0\.0\.weight$/],
  numbering: listedAt('backbone.', byKernels(listed, thinLast)),
  renames: [[/^((?:conv_stem|bn[12]|blocks\..+)\.\w+)$/, '$1']],
  holders,
};
