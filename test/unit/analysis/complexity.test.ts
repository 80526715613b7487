import assert from 'node:assert/strict';
import { complexity, countMacs } from '../../../src/analysis/complexity';
import { exactSum } from '../../../src/analysis/exact';
import { peakMemory } from '../../../src/analysis/memory';
import { everyModule, moduleTree, moduleTreeByName } from '../../../src/analysis/moduleTree';
import { reportText } from '../../../src/analysis/reportText';
import { scaling } from '../../../src/analysis/scaling';
import { whatIfRows } from '../../../src/attention/tokenMixers';
import { stations } from '../../../src/analysis/stations';
import { countedMacs, workOf } from '../../../src/analysis/work';
import type { TensorRole } from '../../../src/architectures/family';
import { elementCount, type DType, type Tensor } from '../../../src/checkpoint/tensors';
import { GraphBuilder, type ParameterSource } from '../../../src/graph/builder';
import { int, type Graph } from '../../../src/graph/graph';
import type { NamedGraph } from '../../../src/models/model';
import type { ComplexityReport, ModuleRow } from '../../../src/domain/report';
import { buildVit, sourceOf, vitB16, vitParameters, type VitSizes } from '../graph/vit';

const tensor = (name: string, shape: readonly number[], dtype: DType = 'F32'): Tensor => ({
  name,
  dtype,
  shape,
  storage: { kind: 'file', file: '/vit.safetensors', offset: 0, length: 0 },
  start: 0,
});

const tensorsOf = (parameters: ReadonlyMap<string, readonly number[]>): readonly Tensor[] =>
  [...parameters].map(([name, shape]) => tensor(name, shape));

const allParameters = (tensors: readonly Tensor[]): ReadonlyMap<string, TensorRole> =>
  new Map(tensors.map(({ name }) => [name, 'parameter'] as const));

const elements = (tensors: readonly Tensor[]): number =>
  tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);

/** A model of one part. */
const alone = (graph: Graph): readonly NamedGraph[] => [{ name: 'whole', graph }];

function reportOf(
  graph: Graph,
  tensors: readonly Tensor[],
  imageSize: readonly [number, number],
): ComplexityReport {
  const roles = allParameters(tensors);
  return complexity(alone(graph), {
    imageSize,
    tensors,
    counts: { params: elements(tensors), buffers: 0, roles },
  });
}

const reportVit = (sizes: VitSizes, batch = 1): ComplexityReport =>
  reportOf(buildVit(sizes, batch), tensorsOf(vitParameters(sizes)), [sizes.image, sizes.image]);

/** Sizes by the letters of the papers. */
const { dim: D, heads: h, depth: L, ratio: r, patch: P, classes } = vitB16;
const patches = (vitB16.image / P) ** 2;
const N = patches + 1;

const rowAt = (rows: readonly ModuleRow[], path: string): ModuleRow =>
  rows.find((row) => row.path === path && row.kind === 'module' && !row.folded) ??
  assert.fail(`no row ${path}`);

describe('complexity of ViT-B/16', () => {
  const report = reportVit(vitB16);

  it('counts every product exactly', () => {
    assert.deepEqual(report.macs, {
      conv: patches * P ** 2 * 3 * D,
      linear: L * (4 * N * D ** 2 + 2 * r * N * D ** 2) + D * classes,
      attention: L * 2 * N ** 2 * D,
    });
    assert.equal(countedMacs(report.macs), 17_563_828_224);
    assert.equal(report.flops, 2 * 17_563_828_224);
  });

  it('counts parameters and bytes', () => {
    const block = 4 * D ** 2 + 4 * D + 2 * r * D ** 2 + (r + 1) * D + 4 * D;
    const rest = P ** 2 * 3 * D + D + D + N * D + 2 * D + D * classes + classes;
    assert.equal(report.params, L * block + rest);
    assert.equal(report.params, 86_567_656);
    assert.equal(report.weightBytes, 4 * report.params);
    assert.equal(report.modules[0]!.params, report.params);
  });

  it('agrees with the numbers that timm prints: 17.58 GMACs, 23.90 M activations', () => {
    assert.equal(report.conventions.fvcore, countedMacs(report.macs) + 5 * N * D * (2 * L + 1));
    const products = patches * D + L * (N * 3 * D + h * N * N + N * D + N * D + N * r * D + N * D) + classes;
    assert.equal(report.conventions.activations, products);
    assert.equal((report.conventions.fvcore / 1e9).toFixed(2), '17.58');
    assert.equal((products / 1e6).toFixed(2), '23.90');
  });

  it('counts attention maps, tokens and what the rest touches', () => {
    assert.equal(report.attentionBytes, 4 * L * h * N ** 2);
    assert.equal(report.tokens, N);
    const touched = (op: string): number => report.operators.find((row) => row.op === op)!.elements;
    assert.equal(touched('LayerNormalization'), (2 * L + 1) * N * D);
    assert.equal(touched('Softmax'), L * h * N ** 2);
    assert.equal(touched('Gelu'), L * r * N * D);
    assert.equal(touched('Gemm'), 0);
  });

  it('spells every number out', () => {
    assert.equal(report.formulas['attention'], '12 × 2 · 197² · 768 = 715,327,488');
    assert.equal(report.formulas['conv'], '196 · (3 · 16²) · 768 = 115,605,504');
    assert.match(
      report.formulas['linear']!,
      /^12 × 197 · 768 · 2,304 \+ .* \+ 768 · 1,000 = 16,732,895,232$/,
    );
    assert.equal(report.formulas['tokens'], '1 (cls) + 14 · 14 = 197');
    assert.equal(report.formulas['attentionBytes'], '12 × 12 · 197² · 4 = 22,353,984 bytes');
    assert.match(report.formulas['params']!, /^patch_embed 590,592 \+ cls_token 768 .* = 86,567,656$/);
  });

  it('says what one layer would cost in other forms', () => {
    const cost = Object.fromEntries(report.whatIf.map(({ name, macs }) => [name, macs]));
    const keys = Math.ceil(N / 2 ** 2);
    assert.deepEqual(cost, {
      'Full attention': 4 * N * D ** 2 + 2 * N ** 2 * D,
      'Windows of 7 × 7': 4 * N * D ** 2 + 2 * N * 7 ** 2 * D,
      'Keys reduced by R = 2': 2 * N * D ** 2 + N * D ** 2 + 2 * keys * D ** 2 + 2 * N * keys * D,
      'Linformer, k = 64': 4 * N * D ** 2 + 4 * N * 64 * D,
      'Performer, m = 256': 4 * N * D ** 2 + 4 * N * 256 * D + N * 256 * 12,
      'Linear attention': 4 * N * D ** 2 + 2 * N * (D / 12) ** 2 * 12 + N * D,
      'Convolution 3 × 3': N * 3 ** 2 * D ** 2,
    });
    const form = 'Multi-head self-attention, on 14 × 14';
    assert.deepEqual(report.layer, { tokens: N, width: D, heads: 12, path: 'blocks.0', form, own: {} });
    const [, windows, , linformer] = whatIfRows(report.layer, { window: 14, projected: 128 });
    assert.deepEqual(
      [windows?.name, windows?.macs],
      ['Windows of 14 × 14', 4 * N * D ** 2 + 2 * N * 14 ** 2 * D],
    );
    assert.equal(linformer?.macs, 4 * N * D ** 2 + 4 * N * 128 * D);
    const attention = rowAt(report.modules, 'blocks.0.attn');
    assert.equal(cost['Full attention'], countedMacs(attention.macs));
  });

  it('grows with the batch, but not in parameters or tokens', () => {
    const double = reportVit(vitB16, 2);
    assert.equal(double.batch, 2);
    assert.equal(countedMacs(double.macs), 2 * countedMacs(report.macs));
    assert.deepEqual([double.params, double.tokens], [report.params, report.tokens]);
    assert.deepEqual(rowAt(double.modules, 'blocks.0.mlp').output, [N, D]);
  });
});

describe('kinds of products', () => {
  const source = (dtype: DType): ParameterSource => ({
    find: (name) => ({
      tensor: name,
      dtype,
      stored: [8, 8],
      first: 0,
      ...(name === 'jax' ? { permutation: [1, 0] } : {}),
    }),
  });
  const build = (write: (b: GraphBuilder) => void, dtype: DType = 'F32'): Graph => {
    const b = new GraphBuilder('products', source(dtype));
    write(b);
    return b.build();
  };

  it('a converted, transposed or sliced parameter is still one', () => {
    const graph = build((b) => {
      const x = b.input('x', [4, 8]);
      b.output('half', b.add('MatMul', [x, b.parameter('jax')]), 'tokens');
      b.output('slice', b.add('MatMul', [x, b.slice(b.parameter('w'), 1, 0, 2)]), 'tokens');
    }, 'F16');
    assert.deepEqual(countMacs(graph), { conv: 0, linear: 4 * 8 * 8 + 4 * 8 * 2, attention: 0 });
  });

  it('a gathered or computed one is not', () => {
    const graph = build((b) => {
      const x = b.input('x', [4, 8]);
      const gathered = b.add('Gather', [b.parameter('table'), b.indices([3, 1])], { axis: int(1) });
      b.output('gathered', b.add('MatMul', [x, gathered]), 'tokens');
      b.output('computed', b.add('MatMul', [x, b.add('Mul', [b.parameter('w'), b.scalar(2)])]), 'tokens');
    });
    assert.deepEqual(countMacs(graph), { conv: 0, linear: 0, attention: 4 * 8 * 2 + 4 * 8 * 8 });
  });

  it('a bias among the inputs makes no linear layer', () => {
    const graph = build((b) => {
      const x = b.input('x', [4, 8]);
      b.output(
        'y',
        b.add('Gemm', [x, x, b.slice(b.parameter('bias'), 0, 0, 1)], { transA: int(1) }),
        'tokens',
      );
    });
    assert.deepEqual(countMacs(graph), { conv: 0, linear: 0, attention: 8 * 8 * 4 });
  });

  it('what no output needs is not counted', () => {
    const graph = build((b) => {
      const x = b.input('x', [4, 8]);
      b.linear(x, 'unused', { bias: false });
      b.output('y', b.add('Relu', [x]), 'tokens');
    });
    assert.deepEqual(countMacs(graph), { conv: 0, linear: 0, attention: 0 });
  });

  it('counts beyond 2^53 are refused, not rounded', () => {
    assert.equal(exactSum([2 ** 52, 2 ** 52 - 1]), 2 ** 53 - 1);
    assert.throws(() => exactSum([2 ** 52, 2 ** 52]), /cannot be counted exactly/);
  });
});

describe('activation memory', () => {
  it('is the largest sum of live outputs; views share their input', () => {
    const b = new GraphBuilder('memory', { find: () => undefined });
    const x = b.input('x', [10, 10]);
    const a = b.add('Relu', [x]); //           100 live
    const view = b.reshape(a, [100]); //       the same 100
    const wide = b.concat([view, view], 0); // 300: a and wide
    const c = b.add('Neg', [wide]); //         500: a, wide and c (a is read below)
    b.output('y', b.concat([c, view], 0), 'tokens'); //  600: a, c and y
    const graph = b.build();
    assert.deepEqual(peakMemory(graph), { bytes: 4 * (100 + 200 + 300), at: '/Concat_1' });
    const bytes = workOf(graph).map((work) => work.bytes / 4);
    assert.deepEqual(bytes, [100, 0, 200, 200, 300]);
  });
});

describe('module tree', () => {
  const tensors = tensorsOf(vitParameters(vitB16));
  const rows = moduleTree(alone(buildVit(vitB16)), tensors, allParameters(tensors));

  it('folds identical blocks into a group with the structure of one and all members', () => {
    const at = rows.findIndex(({ kind }) => kind === 'group');
    const group = rows[at]!;
    assert.deepEqual(
      [group.name, group.count, group.members.length, group.folded],
      ['0 … 11', 12, 12, false],
    );
    const block = 4 * N * D ** 2 + 2 * r * N * D ** 2;
    assert.deepEqual(group.macs, { conv: 0, linear: L * block, attention: L * 2 * N ** 2 * D });
    const structure = rows.filter((row) => row.parent === at && !row.folded);
    assert.deepEqual(
      structure.map(({ name }) => name),
      ['norm1', 'attn', 'norm2', 'mlp'],
    );
    const member = rows[group.members[7]!]!;
    assert.deepEqual([member.path, member.folded, member.parent], ['blocks.7', true, at]);
    assert.deepEqual(member.macs, { conv: 0, linear: block, attention: 2 * N ** 2 * D });
  });

  it('has each module once when unfolded, in execution order', () => {
    const all = everyModule(rows);
    assert.equal(new Set(all.map(({ path }) => path)).size, all.length);
    assert.deepEqual(
      all.filter(({ depth }) => depth === 1).map(({ name }) => name),
      ['patch_embed', 'cls_token', 'pos_embed', 'blocks', 'norm', 'head'],
    );
    const leaves = all.filter((row) => row.tensors.length > 0);
    assert.equal(
      leaves.reduce((sum, row) => sum + row.params, 0),
      elements(tensors),
    );
    assert.deepEqual(
      leaves.flatMap((row) => row.tensors).toSorted((a, b) => a - b),
      [...tensors.keys()],
    );
  });

  it('says what each module is, with this checkpoint’s numbers', () => {
    const attention = rowAt(rows, 'blocks.0.attn');
    assert.equal(attention.title, 'Multi-head self-attention');
    assert.equal(attention.formula, 'softmax(QKᵀ/√64)·V, 12 heads');
    assert.deepEqual(attention.details.at(-1), { label: 'Scores', value: '12×197×197 = 465,708' });
    assert.equal(rowAt(rows, 'patch_embed').title, 'Patch embedding');
    assert.equal(rowAt(rows, 'blocks.0.mlp').title, 'MLP');
    assert.equal(rowAt(rows, 'blocks.0.attn.qkv').formula, 'x·Wᵀ + b, 768 → 2,304');
    assert.deepEqual(rowAt(rows, 'head').output, [classes]);
    assert.equal(rowAt(rows, 'pos_embed').title, 'Parameter');
  });

  it('keeps blocks of different structure apart', () => {
    const parameters = new Map(vitParameters({ ...vitB16, depth: 4 }));
    parameters.delete('blocks.2.attn.qkv.bias');
    const own = tensorsOf(parameters);
    const graph = buildVit({ ...vitB16, depth: 4 }, 1, sourceOf(parameters));
    const groups = moduleTree(alone(graph), own, allParameters(own)).filter(
      (row) => row.path.match(/^blocks\.\d$/) && !row.folded,
    );
    assert.deepEqual(
      groups.map(({ name }) => name),
      ['0 … 1', '2', '3'],
    );
  });

  it('shows unused tensors and buffers where their names put them', () => {
    const more = [
      ...tensors,
      tensor('pooler.dense.weight', [D, D], 'F16'),
      tensor('blocks.0.attn.index', [N], 'I64'),
    ];
    const roles = new Map(allParameters(more))
      .set('pooler.dense.weight', 'unused')
      .set('blocks.0.attn.index', 'buffer');
    const tree = moduleTree(alone(buildVit(vitB16)), more, roles);
    assert.deepEqual(
      [rowAt(tree, 'pooler.dense').params, rowAt(tree, 'pooler.dense').dtype],
      [D ** 2, 'F16'],
    );
    assert.equal(tree[0]!.buffers, N);
    assert.equal(tree[0]!.dtype, 'F32 + F16 + I64');
    assert.equal(tree[0]!.bytes, 4 * elements(tensors) + 2 * D ** 2 + 8 * N);
  });

  it('counts a parameter that two modules read once, and stacked ones where each part is read', () => {
    const source: ParameterSource = {
      find: (name) => {
        const layer = /^layers\.(\d)\.weight$/.exec(name);
        const first = layer ? Number(layer[1]) * 64 : 0;
        return name.endsWith('weight')
          ? { tensor: layer ? 'stack' : 'tied', dtype: 'F32', stored: [8, 8], first }
          : undefined;
      },
    };
    const b = new GraphBuilder('stacked', source);
    let x = b.input('x', [4, 8]);
    for (const name of ['layers.0', 'layers.1', 'layers.1', 'embed', 'head']) x = b.linear(x, name);
    b.output('y', x, 'tokens');
    const own = [tensor('stack', [3, 8, 8]), tensor('tied', [8, 8])];
    const tree = moduleTree(alone(b.build()), own, allParameters(own));
    const params = Object.fromEntries(everyModule(tree).map(({ path, params: count }) => [path, count]));
    // Nobody reads the third of the stack: it stands with the first reader.
    assert.deepEqual(params, { '': 256, layers: 192, 'layers.0': 128, 'layers.1': 64, embed: 64, head: 0 });
  });

  it('is made of names alone where no graph is known', () => {
    const own = [
      tensor('model.layers.0.w', [3, 4]),
      tensor('model.layers.1.w', [3, 4]),
      tensor('model.scale', []),
    ];
    const tree = moduleTreeByName(own, allParameters(own));
    assert.deepEqual(
      everyModule(tree).map(({ path, params }) => [path, params]),
      [
        ['', 25],
        ['model', 25],
        ['model.layers', 24],
        ['model.layers.0', 12],
        ['model.layers.1', 12],
        ['model.scale', 1],
      ],
    );
    assert.deepEqual(tree[0]!.macs, { conv: 0, linear: 0, attention: 0 });
  });
});

describe('drawing of the whole', () => {
  it('leads from the image to the head', () => {
    const drawn = stations(buildVit(vitB16));
    assert.deepEqual(
      drawn.map(({ kind, detail }) => `${kind}: ${detail}`),
      [
        'image: 224 × 224, 3 channels',
        'patches: 14 × 14 patches of 16',
        'tokens: 197 × 768',
        'blocks: 197 × 768, 12 heads',
        'norm: 197 × 768',
        'pool: 768',
        'head: 1,000 outputs',
      ],
    );
    assert.deepEqual(drawn[2]!.special, ['cls']);
    assert.deepEqual([drawn[3]!.path, drawn[3]!.count], ['blocks', 12]);
  });

  it('sets stages and what lies between them side by side', () => {
    const source: ParameterSource = {
      find: (name) => {
        const shapes: Record<string, readonly number[]> = {
          stem: [8, 3, 4, 4],
          down: [16, 8, 2, 2],
          head: [5, 16],
        };
        const part = Object.keys(shapes).find((key) => name === `${key}.weight`);
        const wide = name.startsWith('stages.1') ? 16 : 8;
        const stored = part ? shapes[part]! : [wide, wide, 1, 1];
        return name.endsWith('.weight') ? { tensor: name, dtype: 'F32', stored, first: 0 } : undefined;
      },
    };
    const b = new GraphBuilder('stages', source);
    let x = b.conv2d(b.input('pixel_values', [1, 3, 32, 48]), 'stem', { stride: 4 });
    const stage = (index: number, depth: number): void => {
      for (let block = 0; block < depth; block++)
        for (const part of ['conv1', 'conv2']) x = b.conv2d(x, `stages.${index}.blocks.${block}.${part}`);
    };
    stage(0, 2);
    x = b.conv2d(x, 'down', { stride: 2 });
    stage(1, 3);
    b.output(
      'logits',
      b.linear(b.add('ReduceMean', [x, b.indices([2, 3])], { keepdims: int(0) }), 'head'),
      'logits',
    );
    assert.deepEqual(
      stations(b.build()).map(
        ({ kind, detail, count = 1 }) => `${kind}: ${detail}${count > 1 ? ` ×${count}` : ''}`,
      ),
      [
        'image: 32 × 48, 3 channels',
        'patches: 8 × 12 patches of 4',
        'blocks: 8 × 8 × 12 ×2',
        'downsample: 16 × 4 × 6',
        'blocks: 16 × 4 × 6 ×3',
        'pool: 16',
        'head: 5 outputs',
      ],
    );
  });
});

describe('scaling', () => {
  const small: VitSizes = { ...vitB16, dim: 48, heads: 3, depth: 2, classes: 10 };
  const build = ([side]: readonly [number, number]): Graph => buildVit({ ...small, image: side });

  it('reaches past the first size at which attention overtakes the rest, exactly', () => {
    const { points, crossing, native } = scaling((size) => [build(size)], [224, 224], [16, 16]);
    assert.deepEqual(native, [224, 224]);
    const crossed = ({ macs }: { macs: { conv: number; linear: number; attention: number } }): boolean =>
      macs.attention > macs.conv + macs.linear;
    const smallest = Array.from({ length: 60 }, (_, index) => 16 * (index + 2)).find((side) =>
      crossed({ macs: countMacs(build([side, side])) }),
    );
    assert.deepEqual(crossing?.imageSize, [smallest, smallest]);
    assert.ok(points.length <= 24);
    assert.ok(points.some(({ imageSize }) => imageSize[0] === 224));
    assert.ok(crossed(points.at(-1)!) && points.at(-1) !== crossing);
    const sides = points.map(({ imageSize }) => imageSize[0]);
    assert.deepEqual(
      sides,
      sides.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(sides).size, sides.length);
    assert.ok(sides.every((side) => side % 16 === 0));
  });

  it('goes without sizes that cannot be built, and ends above where they begin', () => {
    const limited = (size: readonly [number, number]): Graph => {
      if (size[0] === 160 || size[0] > 400) throw new Error('does not fit the windows');
      return build(size);
    };
    const sides = scaling((size) => [limited(size)], [224, 224], [16, 16]).points.map(
      ({ imageSize }) => imageSize[0],
    );
    assert.ok(!sides.includes(160) && sides.includes(128) && Math.max(...sides) <= 400);
  });

  it('has one point for a model of one size', () => {
    assert.equal(scaling((size) => [build(size)], [224, 224], [0, 0]).points.length, 1);
  });
});

describe('report files', () => {
  const subject = {
    fileName: 'a|b.safetensors',
    bytes: 346_284_000,
    tensors: 152,
    title: 'ViT-B/16',
    version: '1.2.3',
  };
  const report = reportVit(vitB16);

  it('name the file, its size, the convention and the version', () => {
    for (const format of ['markdown', 'csv', 'json'] as const) {
      const text = reportText(format, report, subject);
      for (const part of ['safetensors', '1.2.3', '152', '17563828224'])
        assert.ok(text.replaceAll(',', '').includes(part.replaceAll(',', '')), `${format}: ${part}`);
      assert.match(text, /counted MACs/i);
    }
  });

  it('Markdown keeps names from breaking tables', () => {
    const text = reportText('markdown', report, subject);
    assert.match(text, /^# Complexity of a\\\|b\.safetensors$/m);
    assert.match(text, /\| – attention \| 715,327,488 \| 12 × 2 · 197² · 768 = 715,327,488 \|/);
  });

  it('CSV has a line for every single module', () => {
    const [head, ...lines] = reportText('csv', report, subject).trim().split('\n');
    assert.equal(lines.length, everyModule(report.modules).length);
    const column = head!.split(',').indexOf('path');
    assert.ok(lines.some((line) => line.split(',')[column] === 'blocks.11.mlp.fc2'));
  });

  it('JSON is the report itself', () => {
    const parsed = JSON.parse(reportText('json', report, subject)) as { report: unknown };
    assert.deepEqual(parsed.report, JSON.parse(JSON.stringify(report)));
  });
});
