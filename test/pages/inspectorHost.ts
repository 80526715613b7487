import type {
  InspectorApi,
  InspectorEvents,
  InspectorModel,
  ReportAsked,
} from '../../src/protocol/inspector';
import { pack } from '../../src/protocol/packed';
import type { ComplexityReport, Scaling } from '../../src/domain/report';
import { seeded } from '../support/random';
import spoken from '../fixtures/pages/spoken.json';
import staged from '../fixtures/pages/staged.json';
import towers from '../fixtures/pages/towers.json';
import { failure, never, serveDemo, shownCase } from './host';
import { complexityReport, inspectorModel, scalingOf, vitB16, vitrineSample, type VitConfig } from './vit';

const config: VitConfig = shownCase === 'sample' ? vitrineSample : vitB16;
/** Models as the core describes them, recorded: a network of stages, and some of several parts. */
const recordedCases: Readonly<Record<string, typeof staged | typeof towers | typeof spoken>> = {
  staged,
  towers,
  spoken,
};
const recorded = recordedCases[shownCase];
/** Of the recorded report of one size, what it is counted for. */
const countedFor = (report: ComplexityReport, lengths: ReportAsked['lengths']): ComplexityReport => ({
  ...report,
  lengths: report.lengths.map((row) => ({ ...row, value: lengths[row.name] ?? row.own })),
});
const base = (recorded?.model as unknown as InspectorModel | undefined) ?? inspectorModel(config);

/** A file of another kind, with enough tensors that only a virtual table can show them. */
function unknownModel(): InspectorModel {
  const names = [
    'self_attn.q_proj',
    'self_attn.k_proj',
    'self_attn.v_proj',
    'self_attn.o_proj',
    'mlp.gate_proj',
  ];
  const tensors = Array.from({ length: 5000 }, (_, index) => ({
    name: `model.layers.${Math.floor(index / 5)}.${names[index % 5]}.weight`,
    dtype: 'BF16',
    shape: [4096, 4096],
    bytes: 2 * 4096 * 4096,
    offset: 8 + index * 2 * 4096 * 4096,
    file: 'model-00001-of-00004.safetensors',
    role: 'unused' as const,
  }));
  return {
    ...base,
    fileName: 'model.safetensors.index.json',
    familyTitle: 'Architecture not known',
    title: '',
    facts: ['safetensors', '4 shards', 'bfloat16', '168 GB'],
    known: false,
    unknown: {
      reason: 'This is a language model: tokens are embedded from a vocabulary, not from an image.',
      nearest: 'Vision Transformer',
      missing: ['patch_embed.proj.weight', 'pos_embed', 'norm.weight', 'norm.bias'],
    },
    headline: base.headline.slice(0, 1),
    evidence: [],
    candidates: [],
    modules: base.modules,
    tensors,
    stations: [],
    attention: [],
    notCounted: 'The architecture of this file is not known: there are no operators to count or to export.',
    runnable: false,
    notRunnable: '',
  };
}

/** Names as long as an EfficientNet's, and numbers alone among the tensors. */
const deepTensors = Array.from({ length: 600 }, (_, index) => ({
  name: `blocks.${Math.floor(index / 60)}.${index % 60}.bn1.num_batches_tracked`,
  dtype: 'I64',
  shape: [],
  bytes: 8,
  offset: 112_360 + 8 * index,
  file: 'model.safetensors',
  role: 'buffer' as const,
}));

/** A file of random words whose shapes are those of the model, offered and confirmed. */
function structureOf(confirmed: boolean): NonNullable<InspectorModel['structure']> {
  const random = seeded(5);
  const word = (): string =>
    Array.from({ length: 9 }, () => String.fromCharCode(97 + Math.floor(26 * random()))).join('');
  return {
    confirmed,
    title: `${base.title} (${base.familyTitle})`,
    layout: 'timm vision_transformer VisionTransformer, in the order of its modules',
    rows: base.tensors.map(({ name, shape }) => ({
      name: word(),
      shape,
      as: name,
      role: name.includes('attn.qkv.weight') ? 'queries, keys and values · block 0' : '',
    })),
    others: ['DINOv3 ViT-B/16 (EVA and rotary transformers), as timm eva Eva, in the order of its names'],
    doubts: ['in blocks.0, [768]: norm1.weight, norm1.bias, attn.proj.bias, norm2.weight, norm2.bias'],
  };
}

const cases: Readonly<Record<string, () => Promise<InspectorModel>>> = {
  unknown: async () => unknownModel(),
  deep: async () => ({ ...base, tensors: deepTensors }),
  graph: async () => ({
    ...base,
    known: false,
    familyTitle: 'Architecture not known',
    title: '',
    evidence: [],
    candidates: [],
    unknown: {
      reason: 'an ONNX graph of no known family',
      nearest: 'Vision Transformer',
      missing: ['no convolution but the patch embedding, not 4 more'],
    },
  }),
  offered: async () => ({
    ...unknownModel(),
    tensors: base.tensors,
    unknown: { reason: 'no known architecture has these tensor names', missing: [] },
    structure: structureOf(false),
  }),
  confirmed: async () => ({ ...base, structure: structureOf(true) }),
  loading: never,
  error: async () => {
    throw failure(
      'vit_base.safetensors: the header says 93,112 bytes, the file has 40,960: it was cut off. Download it again.',
      'malformed',
    );
  },
  restricted: async () => ({
    ...base,
    notRunnable:
      'This workspace is restricted: the checkpoint can be inspected; running it needs your trust.',
    trustNeeded: true,
  }),
  training: async () => ({
    ...base,
    stateDicts: [
      { name: 'model_ema', tensors: 152 },
      { name: 'model', tensors: 152 },
    ],
    stateDict: 'model_ema',
    extras: [
      { name: 'optimizer', summary: 'AdamW state of 152 tensors' },
      { name: 'epoch', summary: '37' },
    ],
    warnings: ['3 tensors are not used by the model: they are listed under Metadata.'],
    unused: ['head_aux.weight', 'head_aux.bias', 'loss_scaler'],
  }),
};

function values(tensor: string, first: number, count: number): ReturnType<InspectorApi['tensorValues']> {
  const row = [...base.tensors, ...deepTensors].find(({ name }) => name === tensor);
  const total = row ? row.shape.reduce((product, size) => product * size, 1) : 4096 * 4096;
  const random = seeded(first + tensor.length);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const page = Float32Array.from({ length: Math.min(count, total - first) }, () => 0.04 * normal());
  const histogram = Array.from({ length: 40 }, (_, bin) =>
    Math.round((total / 8) * Math.exp(-(((bin - 20) / 6) ** 2) / 2)),
  );
  const statistics = {
    min: -0.19,
    max: 0.2,
    mean: 0.0004,
    deviation: 0.0402,
    zeros: 0,
    notFinite: 0,
    histogram,
  };
  return Promise.resolve({ tensor, first, values: page, total, statistics });
}

const open = cases[shownCase] ?? (async () => base);

const api: InspectorApi = {
  open: async () => pack(await open()),
  assume: async (key, value) =>
    pack({
      ...base,
      headline: base.headline.map((row) =>
        row.key === key && value !== null
          ? { ...row, text: value, exact: value, assumed: false, set: true, source: 'set by you' }
          : row,
      ),
    }),
  chooseStateDict: async (stateDict) => pack({ ...(await open()), stateDict }),
  readAs: async (mapping) => pack(mapping ? { ...base, structure: structureOf(true) } : unknownModel()),
  add: async () => pack(base),
  remove: async () => pack(base),
  reload: async () => pack(base),
  tensorValues: values,
  besideFiles: async () => [
    {
      name: 'config.json',
      path: '/home/you/models/config.json',
      bytes: 1234,
      text: JSON.stringify({ architecture: 'vit_base_patch16_224', num_classes: 1000 }, undefined, 2),
      cut: false,
    },
  ],
  takeRevealed: async () => (shownCase === 'revealed' ? 'blocks.3' : null),
  revealModule: async () => undefined,
  showAttention: async () => undefined,
  complexity: async ({ imageSize, batch, lengths }) =>
    recorded
      ? countedFor(recorded.report as unknown as ComplexityReport, lengths)
      : complexityReport(config, imageSize ?? config.image, batch),
  operatorUses: async ({ op }) =>
    Array.from({ length: 2 * config.depth }, (_, index) => ({
      path: `blocks.${Math.floor(index / 2)}.${index % 2 === 0 ? 'attn' : 'mlp'}`,
      count: op === 'MatMul' ? 2 : 1,
      macs: op === 'MatMul' ? 1e6 * (index + 1) : 0,
      elements: 1000,
    })).toSorted((a, b) => b.macs - a.macs),
  operatorsIn: async (module) =>
    complexityReport(config, config.image, 1).operators.filter(
      ({ op }) => module === '' || (op !== 'Conv') !== module.startsWith('patch_embed'),
    ),
  scaling: async () => (recorded?.scaling as unknown as Scaling | undefined) ?? scalingOf(config),
  perform: async () => undefined,
  copy: async () => undefined,
  save: async () => true,
  exportReport: async () => true,
};

const tell = serveDemo<InspectorEvents>(api);
if (shownCase === 'stale') setTimeout(() => tell.stale(), 50);
