// A small model for the drawings of marks.
import type { ModuleRow, Station } from '../../src/domain/report';

const row = (path: string, parent: number, facts: Partial<ModuleRow> = {}): ModuleRow => ({
  path,
  name: path.split('.').at(-1) ?? '',
  parent,
  depth: parent < 0 ? 0 : path.split('.').length - 1,
  kind: 'module',
  count: 1,
  members: [],
  folded: false,
  params: 0,
  buffers: 0,
  bytes: 0,
  macs: { conv: 0, linear: 0, attention: 0 },
  activationBytes: 0,
  output: [],
  dtype: 'F32',
  title: '',
  formula: '',
  tensors: [],
  details: [],
  ...facts,
});

/** A patch embedding, a group of two blocks with an attention each, and a head. */
export const rows: readonly ModuleRow[] = [
  row('patch_embed', -1, { params: 147_648, output: [16, 64], macs: { conv: 2e6, linear: 0, attention: 0 } }),
  row('blocks', -1, { params: 100_480, macs: { conv: 0, linear: 1.5e6, attention: 32_768 } }),
  row('blocks.0', 1, { name: '0 … 1', kind: 'group', count: 2, members: [4, 5], params: 100_480 }),
  row('blocks.0.attn', 2, { params: 16_640, output: [17, 64], dtype: 'F16 + F32' }),
  row('blocks.0', 2, { folded: true, params: 50_240 }),
  row('blocks.1', 2, { folded: true, params: 50_240 }),
  row('head', -1, { params: 65_000, output: [1000], macs: { conv: 0, linear: 64_000, attention: 0 } }),
];

export const stations: readonly Station[] = [
  { kind: 'image', label: 'Image', detail: '3 × 64 × 96', path: '', grid: [64, 96] },
  { kind: 'patches', label: 'Patches', detail: '4 × 6 patches of 16', path: 'patch_embed', grid: [4, 6] },
  { kind: 'tokens', label: 'Tokens', detail: '25 × 64', path: 'cls_token', special: ['class'] },
  { kind: 'blocks', label: 'Blocks', detail: '25 × 64', path: 'blocks', count: 2 },
  { kind: 'norm', label: 'Norm', detail: '25 × 64', path: 'norm' },
  { kind: 'pool', label: 'Pool', detail: 'class', path: 'pool' },
  { kind: 'head', label: 'Head', detail: '1000', path: 'head' },
];
