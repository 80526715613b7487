import type { DefaultsName } from '../preprocessing/defaults';
import { configuredArchitecture, configuredModelType } from './config';
import type { Found } from './family';
import type { Measures } from './groups/measure';
import type { Sizes } from './sizes';

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

/** What shows the parts of a plain transformer. */
interface Parts {
  readonly found: Found;
  readonly measures: Measures;
}

const hasTrait = ({ measures }: Parts, trait: string): boolean => measures.traits.split(' ').includes(trait);
const isDinov2 = (parts: Parts): boolean =>
  parts.found.tensors.has('mask_token') && hasTrait(parts, 'ls') && parts.measures.classToken;

/** Labels by names and shapes, for want of a config; the first that holds. */
const structures: readonly (readonly [label: string, holds: (parts: Parts) => boolean])[] = [
  ['deit-distilled', ({ measures }) => measures.distillationToken],
  ['dinov2-registers', (parts) => isDinov2(parts) && parts.measures.registers > 0],
  ['dinov2', isDinov2],
  ['mae', ({ found }) => [...found.tensors.keys()].some((name) => name.startsWith('decoder.'))],
  ['vit-parallel', (parts) => hasTrait(parts, 'parallel')],
  ['vit-registers', ({ measures }) => measures.registers > 0],
  ['vit-qknorm', (parts) => hasTrait(parts, 'qk_norm')],
];

/** The label of a plain transformer: by its config, else by its parts, else `vit`. */
export function labelOf(found: Found, measures: Measures): string {
  const parts = { found, measures };
  const architecture = configuredArchitecture(found.checkpoint) ?? '';
  const named = architectures.find(([name]) => name.test(architecture))?.[1];
  const typed = modelTypes[configuredModelType(found.checkpoint) ?? ''];
  if (measures.distillationToken) return 'deit-distilled';
  return named ?? typed ?? structures.find(([, holds]) => holds(parts))?.[0] ?? 'vit';
}

/**
 * Sizes by depth and width (Zhai et al. 2022, table 2, Oquab et al. 2023 and timm); if the parts
 * of the blocks count, they follow.
 */
const sizes: Sizes = {
  '12 192': 'Ti',
  '14 256 diff': 'DWee',
  '16 256 parallel': 'PWee',
  '16 256 parallel diff': 'DPWee',
  '14 320': 'Little',
  '14 320 diff': 'DLittle',
  '12 384': 'S',
  '36 384': 'S-36×1',
  '18 384 parallel': 'S-18×2',
  '12 512': 'M',
  '20 512': 'MediumD',
  '12 640': 'Betwixt',
  '12 768': 'B',
  '18 768 parallel': 'B-18×2',
  '21 832': 'SO150M2',
  '12 896': 'B+',
  '18 896': 'SO150M',
  '24 1024': 'L',
  '27 1152': 'SO400M',
  '32 1280': 'H',
  '40 1408': 'g',
  '40 1536': 'g',
  '48 1664': 'G',
};

/** Sizes that others of the same depth and width do not go by, by label. */
const ownSizes: Readonly<Record<string, Sizes>> = {
  aimv2: { '24 1536': 'H', '24 2048': '1B', '24 3072': '3B' },
  clip: { '48 1664': 'bigG' },
  'dual-encoder': { '48 1664': 'bigG' },
  dinov3: { '12 384 gate': 'S+', '32 1280 gate': 'H+', '40 4096': '7B' },
  eva: { '64 1792': '02-CLIP-E' },
  // Those of 23 and 47 blocks end at the block that language models read.
  'perception-encoder': { '23 1024': 'L', '47 1536': 'G', '50 1536': 'G' },
  sapiens2: { '12 768': '0.1B', '24 1024': '0.4B', '32 1280': '0.8B', '40 1536': '1B', '56 2432': '5B' },
};

/** Traits of the blocks by which sizes of one depth and width are told apart. */
const blockTraits: ReadonlySet<string> = new Set(['gate', 'parallel', 'diff']);

/**
 * `ViT-B/16`; a depth and width that nobody published by the width alone, `ViT-256/16`. `patch` is
 * its side in pixels.
 */
export function vitSize(depth: number, dim: number, patch: number | string, traits = '', label = ''): string {
  const layout = `${depth} ${dim}`;
  const marked = [layout, ...traits.split(' ').filter((trait) => blockTraits.has(trait))].join(' ');
  const tables = [ownSizes[label] ?? {}, sizes];
  const size = [marked, layout].flatMap((key) => tables.flatMap((table) => table[key] ?? []))[0];
  return `ViT-${size ?? dim}/${patch}`;
}

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
  sapiens2: (size) => size.replace('ViT', 'Sapiens2'),
  aimv2: (size) => size.replace('ViT', 'AIMv2'),
  beit3: (size) => size.replace('ViT', 'BEiT-3'),
};

/** What people call it: `DeiT-S/16 distilled`. */
export function titleOf(label: string, { depth, dim, patch, traits }: Measures): string {
  const side = patch[0] === patch[1] ? String(patch[0]) : patch.join('×');
  const size = vitSize(depth, dim, side, traits, label);
  return titles[label]?.(size) ?? size;
}

/**
 * Preprocessing that a kind of weights was trained with, if config and published models leave it
 * open.
 */
const pixels: Readonly<Record<string, DefaultsName>> = {
  vit: 'half',
  flexivit: 'half',
  'vit-parallel': 'half',
  'vit-registers': 'half',
  'vit-qknorm': 'half',
  siglip: 'half',
  siglip2: 'half',
  aimv2: 'clip',
  clip: 'clip',
  'dual-encoder': 'clip',
};

/**
 * What a plain transformer in timm's names once was, if only its parts show it: the image tower of
 * CLIP or of SigLIP, AIMv2, BEiT-3.
 */
export function originOf(label: string, { traits, classToken, registers }: Measures): string {
  const parts = traits.split(' ');
  if (label !== 'vit') return label;
  if (parts.includes('gate') && !classToken && !parts.includes('qkv_bias')) return 'aimv2';
  if (parts.includes('scale_norm')) return 'beit3';
  if (parts.includes('pre') && !parts.includes('parallel')) return 'clip';
  return parts.includes('map') && !classToken && registers === 0 ? 'siglip' : label;
}

/** Name of the preprocessing that a label stands for. */
export const pixelsOf = (label: string): DefaultsName => pixels[label] ?? 'imagenet';
