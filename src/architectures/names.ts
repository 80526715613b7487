import { configuredArchitecture, configuredModelType } from './config';
import type { Evidences } from './family';
import type { Measures } from './groups/measure';
import type { Published } from './published/published';

/** Labels by Hugging Face's model_type. */
const modelTypes: Readonly<Record<string, string>> = {
  vit: 'vit',
  deit: 'deit',
  dinov2: 'dinov2',
  dinov2_with_registers: 'dinov2-registers',
  vit_mae: 'vit-mae',
  vit_msn: 'vit-msn',
  ijepa: 'ijepa',
};

/** Labels by timm's architecture name. */
const architectures: readonly (readonly [name: RegExp, label: string])[] = [
  [/^deit3_/, 'deit3'],
  [/^deit_/, 'deit'],
  [/^flexivit_/, 'flexivit'],
  [/_reg4_dinov2/, 'dinov2-registers'],
  [/_dinov2/, 'dinov2'],
];

interface Marks {
  readonly evidences: Evidences;
  readonly measures: Measures;
}

const hasTrait = ({ measures }: Marks, trait: string): boolean => measures.traits.split(' ').includes(trait);
const isDinov2 = (marks: Marks): boolean =>
  marks.evidences.tensors.has('mask_token') && hasTrait(marks, 'ls') && marks.measures.classToken;

/** What names and shapes say where no config does; the first that holds. */
const structures: readonly (readonly [label: string, holds: (marks: Marks) => boolean])[] = [
  ['deit-distilled', ({ measures }) => measures.distillationToken],
  ['dinov2-registers', (marks) => isDinov2(marks) && marks.measures.registers > 0],
  ['dinov2', isDinov2],
  ['mae', ({ evidences }) => [...evidences.tensors.keys()].some((name) => name.startsWith('decoder.'))],
  ['vit-parallel', (marks) => hasTrait(marks, 'parallel')],
  ['vit-registers', ({ measures }) => measures.registers > 0],
  ['vit-qknorm', (marks) => hasTrait(marks, 'qk_norm')],
];

/** The label of a plain transformer: as its config says, else as its parts tell, else `vit`. */
export function labelOf(evidences: Evidences, measures: Measures): string {
  const marks = { evidences, measures };
  const architecture = configuredArchitecture(evidences.checkpoint) ?? '';
  const named = architectures.find(([name]) => name.test(architecture))?.[1];
  const typed = modelTypes[configuredModelType(evidences.checkpoint) ?? ''];
  if (measures.distillationToken) return 'deit-distilled';
  return named ?? typed ?? structures.find(([, holds]) => holds(marks))?.[0] ?? 'vit';
}

/** Letters of the published sizes, by width (Zhai et al. 2022, table 2, and timm). */
const letters: Readonly<Record<number, string>> = {
  192: 'Ti',
  384: 'S',
  512: 'M',
  768: 'B',
  1024: 'L',
  1152: 'SO400M',
  1280: 'H',
  1408: 'g',
  1536: 'g',
  1664: 'G',
  1792: 'E',
  2432: '5B',
  4096: '7B',
};

/** Title by label, around the size `ViT-B/16`. */
const titles: Readonly<Record<string, (size: string) => string>> = {
  deit: (size) => `De${size.replace('ViT', 'iT')}`,
  'deit-distilled': (size) => `De${size.replace('ViT', 'iT')} distilled`,
  deit3: (size) => `DeiT III ${size}`,
  dinov2: (size) => `DINOv2 ${size}`,
  'dinov2-registers': (size) => `DINOv2 ${size} with registers`,
  mae: (size) => `MAE ${size}`,
  'vit-mae': (size) => `MAE ${size}`,
  'vit-msn': (size) => `MSN ${size}`,
  ijepa: (size) => `I-JEPA ${size}`,
  flexivit: (size) => `FlexiViT ${size}`,
  'vit-registers': (size) => `${size} with registers`,
  'vit-qknorm': (size) => `${size} with normalised queries and keys`,
  'vit-parallel': (size) => `${size} with parallel blocks`,
  clip: (size) => `CLIP ${size}`,
  'dual-encoder': (size) => `Dual encoder ${size}`,
  siglip: (size) => `SigLIP ${size}`,
  siglip2: (size) => `SigLIP 2 ${size}`,
  beit: (size) => size.replace('ViT', 'BEiT'),
  beitv2: (size) => size.replace('ViT', 'BEiT v2'),
  'data2vec-vision': (size) => size.replace('ViT', 'Data2Vec'),
  eva: (size) => size.replace('ViT', 'EVA'),
  eva02: (size) => size.replace('ViT', 'EVA-02'),
  dinov3: (size) => `DINOv3 ${size}`,
  'perception-encoder': (size) => `Perception Encoder ${size}`,
  'rope-vit': (size) => `${size} with rotary positions`,
  sapiens2: (size) => `Sapiens2 ${size}`,
};

/** What people call it: `DeiT-S/16 distilled`; a width without a letter is written out, `ViT-256/16`. */
export function titleOf(label: string, { dim, patch }: Measures): string {
  const side = patch[0] === patch[1] ? String(patch[0]) : patch.join('×');
  const size = `ViT-${letters[dim] ?? dim}/${side}`;
  return titles[label]?.(size) ?? size;
}

/** Preprocessing that a kind of weights was trained with, where neither config nor a published model says. */
const pixels: Readonly<Record<string, string>> = {
  vit: 'half',
  flexivit: 'half',
  'vit-parallel': 'half',
  'vit-registers': 'half',
  'vit-qknorm': 'half',
  siglip: 'half',
  siglip2: 'half',
  clip: 'clip',
  'dual-encoder': 'clip',
};

/** What a plain transformer in timm's names once was, where only its parts say so: the image tower of CLIP or of SigLIP. */
export function originOf(label: string, { traits, classToken, registers }: Measures): string {
  const marks = traits.split(' ');
  if (label !== 'vit') return label;
  if (marks.includes('pre') && !marks.includes('parallel')) return 'clip';
  return marks.includes('map') && !classToken && registers === 0 ? 'siglip' : label;
}

/** Name of the default preprocessing: the published models' own where they agree, else the label's. */
export function pixelsOf(label: string, published: readonly Published[]): string {
  const named = new Set(published.map((model) => model.pixels));
  const [only] = named;
  return named.size === 1 && only !== undefined ? only : (pixels[label] ?? 'imagenet');
}
