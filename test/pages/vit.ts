// A plain Vision Transformer as the core would describe it, from its config alone: the pages are
// looked at without any file.
import type { InspectorModel } from '../../src/protocol/inspector';
import type {
  ComplexityReport,
  Macs,
  ModuleRow,
  OperatorRow,
  Scaling,
  ScalingPoint,
  Station,
  TensorRow,
} from '../../src/domain/report';
import { formatBytes, formatCount, formatExact } from '../../src/domain/units';

export interface VitConfig {
  readonly fileName: string;
  readonly title: string;
  readonly depth: number;
  readonly width: number;
  readonly heads: number;
  readonly mlp: number;
  readonly patch: number;
  readonly image: readonly [height: number, width: number];
  readonly classes: number;
}

export const vitB16: VitConfig = {
  fileName: 'vit_base_patch16_224.safetensors',
  title: 'ViT-B/16',
  depth: 12,
  width: 768,
  heads: 12,
  mlp: 3072,
  patch: 16,
  image: [224, 224],
  classes: 1000,
};

export const vitrineSample: VitConfig = {
  fileName: 'model.safetensors',
  title: 'vitrine-sample',
  depth: 6,
  width: 160,
  heads: 4,
  mlp: 480,
  patch: 8,
  image: [128, 128],
  classes: 29,
};

const NONE: Macs = { conv: 0, linear: 0, attention: 0 };
const plus = (a: Macs, b: Macs): Macs => ({
  conv: a.conv + b.conv,
  linear: a.linear + b.linear,
  attention: a.attention + b.attention,
});
const times = (a: Macs, n: number): Macs => ({
  conv: a.conv * n,
  linear: a.linear * n,
  attention: a.attention * n,
});
const total = ({ conv, linear, attention }: Macs): number => conv + linear + attention;

interface Module {
  readonly name: string;
  readonly title?: string;
  readonly formula?: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly macs?: Macs;
  readonly output?: readonly number[];
  readonly outputs?: number;
  readonly details?: ModuleRow['details'];
  readonly children?: readonly Module[];
  /** This module stands so many times, with indices for names. */
  readonly repeat?: number;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function linear(name: string, tokens: number, from: number, to: number): Module {
  return {
    name,
    title: 'Linear',
    formula: `${from} → ${to}`,
    shapes: { weight: [to, from], bias: [to] },
    macs: { conv: 0, linear: tokens * from * to, attention: 0 },
    output: [tokens, to],
    outputs: tokens * to,
  };
}

const norm = (name: string, tokens: number, width: number): Module => ({
  name,
  title: 'Layer normalisation',
  shapes: { weight: [width], bias: [width] },
  output: [tokens, width],
  outputs: tokens * width,
});

function block(config: VitConfig, tokens: number): readonly Module[] {
  const { width, heads, mlp } = config;
  const scores = heads * tokens * tokens;
  return [
    norm('norm1', tokens, width),
    {
      name: 'attn',
      title: 'Multi-head self-attention',
      formula: `softmax(QKᵀ/√${width / heads})·V, ${heads} heads`,
      macs: { conv: 0, linear: 0, attention: 2 * tokens * tokens * width },
      output: [tokens, width],
      outputs: 2 * scores + tokens * width,
      details: [
        { label: 'Q, K, V', value: `${tokens}×${width} → ${heads}×${tokens}×${width / heads}` },
        { label: 'scores', value: `${heads}×${tokens}×${tokens} = ${formatExact(scores)}` },
      ],
      children: [linear('qkv', tokens, width, 3 * width), linear('proj', tokens, width, width)],
    },
    norm('norm2', tokens, width),
    {
      name: 'mlp',
      title: 'Feed-forward network',
      formula: 'W₂ · GELU(W₁x + b₁) + b₂',
      output: [tokens, width],
      outputs: tokens * mlp,
      children: [linear('fc1', tokens, width, mlp), linear('fc2', tokens, mlp, width)],
    },
  ];
}

const gridOf = ({ image, patch }: VitConfig, size = image): readonly [number, number] => [
  Math.floor(size[0] / patch),
  Math.floor(size[1] / patch),
];

function modulesOf(config: VitConfig, size = config.image): readonly Module[] {
  const { width, patch, depth, classes } = config;
  const [rows, columns] = gridOf(config, size);
  const patches = rows * columns;
  const tokens = patches + 1;
  return [
    {
      name: 'patch_embed',
      title: 'Patch embedding',
      formula: `convolution ${patch}×${patch}, stride ${patch}, 3 → ${width}`,
      shapes: { 'proj.weight': [width, 3, patch, patch], 'proj.bias': [width] },
      macs: { conv: patches * 3 * patch * patch * width, linear: 0, attention: 0 },
      output: [patches, width],
      outputs: patches * width,
    },
    { name: 'cls_token', title: 'Class token', shapes: { '': [1, 1, width] } },
    {
      name: 'pos_embed',
      title: 'Position embedding',
      shapes: { '': [1, tokens, width] },
      output: [tokens, width],
    },
    {
      name: 'blocks',
      children: [
        {
          name: '',
          repeat: depth,
          title: 'Transformer block',
          output: [tokens, width],
          children: block(config, tokens),
        },
      ],
    },
    norm('norm', tokens, width),
    { ...linear('head', 1, width, classes), title: 'Classification head', output: [classes] },
  ];
}

/** Flattens modules into rows and tensors as the protocol has them. */
class Rows {
  readonly modules: ModuleRow[] = [];
  readonly tensors: TensorRow[] = [];
  private offset = 8 + 19_432;

  constructor(private readonly file: string) {}

  add(module: Module, parent: number, depth: number, prefix: string, folded = false): number {
    if (module.repeat !== undefined) return this.addGroup(module, parent, depth, prefix);
    const path = prefix === '' ? module.name : `${prefix}.${module.name}`;
    const index = this.modules.length;
    this.modules.push(this.row(module, path, module.name, parent, depth, folded));
    for (const child of module.children ?? []) this.add(child, index, depth + 1, path, folded);
    this.sum(index);
    return index;
  }

  private addGroup(module: Module, parent: number, depth: number, prefix: string): number {
    const count = module.repeat ?? 1;
    const index = this.modules.length;
    this.modules.push(
      this.row({ ...module, shapes: {} }, `${prefix}.0`, `0 … ${count - 1}`, parent, depth, false),
    );
    const common = (module.children ?? []).map((child) => this.add(child, index, depth + 1, `${prefix}.0`));
    const known = this.tensors.length;
    const members: number[] = [];
    for (let at = 0; at < count; at++) {
      const { repeat: _, ...member } = module;
      members.push(this.add({ ...member, name: String(at) }, index, depth + 1, prefix, true));
      // The first member's tensors were listed with the common structure already.
      if (at === 0) this.tensors.splice(known);
    }
    const one = this.modules[members[0] as number] as ModuleRow;
    this.modules[index] = {
      ...(this.modules[index] as ModuleRow),
      kind: 'group',
      count,
      members,
      params: one.params * count,
      bytes: one.bytes * count,
      macs: times(one.macs, count),
      activationBytes: one.activationBytes * count,
      tensors: common.length > 0 ? [] : one.tensors,
    };
    return index;
  }

  private row(
    module: Module,
    path: string,
    name: string,
    parent: number,
    depth: number,
    folded: boolean,
  ): ModuleRow {
    const shapes = Object.entries(module.shapes ?? {});
    const params = shapes.reduce((sum, [, shape]) => sum + sizeOf(shape), 0);
    return {
      path,
      name,
      parent,
      depth,
      kind: 'module',
      count: 1,
      members: [],
      folded,
      params,
      buffers: 0,
      bytes: 4 * params,
      macs: module.macs ?? NONE,
      activationBytes: 4 * (module.outputs ?? 0),
      output: module.output ?? [],
      dtype: 'F32',
      title: module.title ?? '',
      formula: module.formula ?? '',
      details: module.details ?? [],
      tensors: shapes.map(([suffix, shape]) =>
        this.tensor(suffix === '' ? path : `${path}.${suffix}`, shape),
      ),
    };
  }

  private tensor(name: string, shape: readonly number[]): number {
    const bytes = 4 * sizeOf(shape);
    this.tensors.push({
      name,
      dtype: 'F32',
      shape,
      bytes,
      offset: this.offset,
      file: this.file,
      role: 'parameter',
    });
    this.offset += bytes;
    return this.tensors.length - 1;
  }

  private sum(index: number): void {
    const row = this.modules[index] as ModuleRow;
    const children = this.modules.filter((child) => child.parent === index && child.folded === row.folded);
    this.modules[index] = children.reduce<ModuleRow>(
      (whole, child) => ({
        ...whole,
        params: whole.params + child.params,
        bytes: whole.bytes + child.bytes,
        macs: plus(whole.macs, child.macs),
        activationBytes: whole.activationBytes + child.activationBytes,
        output: whole.output.length > 0 ? whole.output : child.output,
      }),
      row,
    );
  }
}

function rowsOf(config: VitConfig, size = config.image): Rows {
  const rows = new Rows(config.fileName);
  for (const module of modulesOf(config, size)) rows.add(module, -1, 0, '');
  return rows;
}

const rootsOf = (rows: Rows): readonly ModuleRow[] => rows.modules.filter((row) => row.parent < 0);
const sumOf = (rows: Rows, key: 'params' | 'activationBytes'): number =>
  rootsOf(rows).reduce((sum, row) => sum + row[key], 0);
const macsOf = (rows: Rows): Macs => rootsOf(rows).reduce((sum, row) => plus(sum, row.macs), NONE);

function stationsOf(config: VitConfig): readonly Station[] {
  const [rows, columns] = gridOf(config);
  const tokens = rows * columns + 1;
  const [height, width] = config.image;
  return [
    { kind: 'image', label: 'Image', detail: `3 × ${height} × ${width}`, path: '', grid: [height, width] },
    {
      kind: 'patches',
      label: 'Patches',
      detail: `${rows} × ${columns} of ${config.patch}`,
      path: 'patch_embed',
      grid: [rows, columns],
    },
    {
      kind: 'tokens',
      label: 'Tokens',
      detail: `${tokens} × ${config.width}`,
      path: 'pos_embed',
      special: ['cls'],
    },
    {
      kind: 'blocks',
      label: 'Block',
      detail: `${config.heads} heads, MLP ${config.mlp}`,
      path: 'blocks.0',
      count: config.depth,
    },
    { kind: 'norm', label: 'Norm', detail: `${tokens} × ${config.width}`, path: 'norm' },
    { kind: 'head', label: 'Head', detail: `${formatExact(config.classes)} classes`, path: 'head' },
  ];
}

/** What the inspector shows of such a model, with the heads assumed as a bare file leaves them. */
export function inspectorModel(config: VitConfig): InspectorModel {
  const rows = rowsOf(config);
  const params = sumOf(rows, 'params');
  const macs = total(macsOf(rows));
  const [gridRows, gridColumns] = gridOf(config);
  const patches = gridRows * gridColumns;
  const stored = { assumed: false, set: false, editable: false } as const;
  const heads = {
    ...stored,
    key: 'heads',
    label: 'Heads',
    text: `${config.heads} × ${config.width / config.heads}`,
    exact: String(config.heads),
    source: 'assumed: 64 per head; not stored in the weights',
    assumed: true,
    editable: true,
    choices: [8, 12, 16, 24].map(String),
  };
  const labels = {
    ...stored,
    key: 'labels',
    label: 'Labels',
    text: config.classes === 1000 ? '1,000 (ImageNet-1k)' : `${config.classes} (config.json)`,
    exact: String(config.classes),
    source:
      config.classes === 1000
        ? 'assumed: 1000 classes and no names beside the file'
        : 'config.json: label_names',
    assumed: config.classes === 1000,
    editable: true,
  };
  return {
    fileName: config.fileName,
    readsTexts: false,
    path: `/home/you/models/${config.fileName}`,
    familyTitle: 'Vision Transformer',
    title: config.title,
    facts: ['timm names', 'safetensors', 'float32', formatBytes(4 * params)],
    known: true,
    headline: [
      {
        ...stored,
        key: 'params',
        label: 'Parameters',
        text: formatCount(params),
        exact: formatExact(params),
        source: 'sum over the tensors',
      },
      {
        ...stored,
        key: 'macs',
        label: `MACs (${config.image.join('×')})`,
        text: formatCount(macs, 4),
        exact: formatExact(macs),
        source: 'counted on the graph',
      },
      {
        ...stored,
        key: 'tokens',
        label: 'Tokens',
        text: `${patches + 1} = 1 + ${gridRows}×${gridColumns}`,
        exact: String(patches + 1),
        source: 'pos_embed',
      },
      {
        ...stored,
        key: 'depth',
        label: 'Depth',
        text: String(config.depth),
        exact: String(config.depth),
        source: `blocks.0 … blocks.${config.depth - 1}`,
      },
      heads,
      labels,
    ],
    evidence: [
      {
        ...stored,
        key: 'dim',
        label: 'Width',
        text: String(config.width),
        exact: String(config.width),
        source: `cls_token [1, 1, ${config.width}]`,
      },
      {
        ...stored,
        key: 'depth',
        label: 'Depth',
        text: String(config.depth),
        exact: String(config.depth),
        source: `blocks.0 … blocks.${config.depth - 1}`,
      },
      {
        ...stored,
        key: 'patch',
        label: 'Patch',
        text: String(config.patch),
        exact: String(config.patch),
        source: `patch_embed.proj.weight [${config.width}, 3, ${config.patch}, ${config.patch}]`,
      },
      {
        ...stored,
        key: 'grid',
        label: 'Grid',
        text: `${gridRows}×${gridColumns}`,
        exact: `${gridRows}×${gridColumns}`,
        source: `pos_embed [1, ${patches + 1}, ${config.width}]: the square one of those that fit`,
      },
      heads,
      labels,
    ],
    candidates: config.classes === 1000 ? ['ViT-B/16', 'DeiT-B'] : [],
    warnings: [],
    stateDicts: [{ name: '', tensors: rows.tensors.length }],
    stateDict: '',
    extras: [],
    metadata: { format: 'pt' },
    siblings: ['config.json', 'README.md'],
    unused: [],
    modules: rows.modules,
    tensors: rows.tensors,
    stations: stationsOf(config),
    attention: Array.from({ length: config.depth }, (_, block) => ({
      path: `blocks.${block}.attn`,
      layer: `blocks.${block}`,
    })),
    folder: '',
    notCounted: '',
    imageSize: config.image,
    runnable: true,
    notRunnable: '',
  };
}

/** The report at an image size. */
export function complexityReport(config: VitConfig, size = config.image, batch = 1): ComplexityReport {
  const rows = rowsOf(config, size);
  const macs = times(macsOf(rows), batch);
  const params = sumOf(rowsOf(config), 'params');
  const [gridRows, gridColumns] = gridOf(config, size);
  const tokens = gridRows * gridColumns + 1;
  const { depth, width, heads, mlp } = config;
  const scores = heads * tokens * tokens;
  const activationBytes = batch * sumOf(rows, 'activationBytes');
  return {
    imageSize: size,
    batch,
    params,
    buffers: 0,
    macs,
    flops: 2 * total(macs),
    weightBytes: 4 * params,
    activationBytes,
    peakActivationBytes: 4 * batch * (2 * scores + 4 * tokens * width),
    attentionBytes: 4 * batch * depth * scores,
    tokens,
    parts: [],
    lengths: [],
    modules: rows.modules,
    operators: operatorsOf(config, tokens, macs),
    conventions: {
      fvcore: total(macs) + batch * 5 * tokens * width * (2 * depth + 1),
      activations: activationBytes / 4,
    },
    formulas: {
      attention: `${depth} × 2 · ${tokens}² · ${width} = ${formatExact(depth * 2 * tokens * tokens * width)}`,
      flops: `2 × ${formatExact(total(macs))}`,
    },
    whatIf: whatIfOf(tokens, width, mlp / width),
    layer: {
      ...{ tokens, width, heads, path: 'blocks.0', own: {} },
      form: `Multi-head self-attention, on ${gridRows} × ${gridColumns}`,
    },
  };
}

function operatorsOf(
  { depth, width, heads, mlp }: VitConfig,
  tokens: number,
  macs: Macs,
): readonly OperatorRow[] {
  const row = (
    op: string,
    kind: OperatorRow['kind'],
    count: number,
    work: number,
    elements: number,
  ): OperatorRow => ({
    op,
    kind,
    count,
    macs: work,
    elements: work > 0 ? 0 : elements,
    bytes: 4 * elements,
  });
  const scores = heads * tokens * tokens;
  return [
    row('Conv', 'conv', 1, macs.conv, tokens * width),
    row('Gemm', 'linear', 4 * depth + 1, macs.linear, depth * tokens * (5 * width + mlp)),
    row('MatMul', 'attention', 2 * depth, macs.attention, depth * (scores + tokens * width)),
    row('LayerNormalization', 'normalisation', 2 * depth + 1, 0, (2 * depth + 1) * tokens * width),
    row('Softmax', 'softmax', depth, 0, depth * scores),
    row('Gelu', 'activation', depth, 0, depth * tokens * mlp),
    row('Add', 'elementwise', 2 * depth + 1, 0, (2 * depth + 1) * tokens * width),
  ];
}

function whatIfOf(n: number, d: number, ratio: number): ComplexityReport['whatIf'] {
  const projections = 4 * n * d * d;
  return [
    { name: 'full attention', formula: `4ND² + 2N²D, N = ${n}, D = ${d}`, macs: projections + 2 * n * n * d },
    { name: 'windows of 7 × 7', formula: `4ND² + 2N·49·D`, macs: projections + 2 * n * 49 * d },
    { name: 'keys reduced by 2', formula: `4ND² + 2N²D/4`, macs: projections + (n * n * d) / 2 },
    { name: 'Linformer, k = 64', formula: `4ND² + 4NkD`, macs: projections + 4 * n * 64 * d },
    { name: 'Performer, m = 256', formula: `4ND² + 4NmD`, macs: projections + 4 * n * 256 * d },
    { name: 'convolution 3 × 3', formula: `9ND²`, macs: 9 * n * d * d },
    { name: 'the MLP beside it', formula: `2rND², r = ${ratio}`, macs: 2 * ratio * n * d * d },
  ];
}

/**
 * Image sizes in steps of the patch, far enough to pass the point where attention overtakes the
 * rest.
 */
export function scalingOf(config: VitConfig): Scaling {
  const points: ScalingPoint[] = [];
  for (let grid = 4; grid <= 160; grid += grid < 16 ? 2 : grid < 48 ? 4 : 16) {
    const imageSize = [grid * config.patch, grid * config.patch] as const;
    const { macs, tokens, activationBytes, peakActivationBytes } = complexityReport(config, imageSize);
    points.push({ imageSize, tokens, macs, activationBytes, peakActivationBytes });
  }
  const native = complexityReport(config);
  const sides = points.map((point) => point.imageSize[0]);
  if (!sides.includes(config.image[0])) points.push({ ...native, imageSize: config.image });
  points.sort((a, b) => a.tokens - b.tokens);
  const crossing = points.find(({ macs }) => macs.attention > macs.conv + macs.linear);
  return {
    points,
    native: config.image,
    step: [config.patch, config.patch],
    ...(crossing ? { crossing } : {}),
  };
}
