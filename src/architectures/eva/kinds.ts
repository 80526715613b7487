import type { DefaultsName } from '../../preprocessing/defaults';
import type { Grid } from '../../domain/size';
import type { Found } from '../family';
import { isPerceptionEncoder, type Measures } from '../groups/measure';

/**
 * Rotary positions: none, by row and column, by patch centres in [-1, 1], or by learned
 * frequencies.
 */
export type Rope = 'none' | 'axial' | 'centred' | 'mixed';

/** What the entry functions of one kind of model set and no weight determines. */
interface Facts {
  readonly rope: Rope;
  readonly rope_temperature?: number;
  readonly rope_indexing?: 'ij' | 'xy';
  readonly rope_offset?: number;
  readonly rope_pairing?: 'interleaved' | 'half';
  /** Grid to which positions are rescaled; `table`: that of the position table. */
  readonly rope_ref_grid?: Grid | 'table';
  readonly eps: number;
  /**
   * How tokens are pooled if neither a norm of the pooled vector nor a missing class token
   * determines it.
   */
  readonly pool: 'token' | 'avg';
}

/** One kind of model that timm's eva.py builds, with the parts it is known by. */
export interface EvaKind extends Facts {
  readonly label: string;
  readonly pixels: DefaultsName;
  /** Reference grids by the names of models, if they differ and may not be the position table's. */
  readonly referenceGrids?: readonly (readonly [name: RegExp, grid: Grid])[];
  /** Names of its published models. */
  readonly published: RegExp;
  readonly holds: (parameters: Found['tensors'], measures: Measures) => boolean;
}

const hasGate = (parameters: Found['tensors'], { mlp }: Measures): boolean =>
  parameters.has('blocks.0.mlp.fc1_g.weight') ||
  parameters.get('blocks.0.mlp.fc1.weight')?.shape[0] === 2 * mlp;

const perceptionEncoder = {
  label: 'perception-encoder',
  pixels: 'half',
  published: /_pe_/,
  rope: 'axial',
  rope_indexing: 'xy',
  rope_ref_grid: 'table',
  referenceGrids: [
    [/_pe_core_.*_224/, [14, 14]],
    [/_pe_core_.*_3(?:36|84)/, [24, 24]],
    [/_pe_/, [32, 32]],
  ],
  eps: 1e-5,
  pool: 'avg',
} as const;

const ropeVit = {
  label: 'rope-vit',
  pixels: 'imagenet',
  eps: 1e-6,
  pool: 'token',
} as const;

const dinov3 = {
  label: 'dinov3',
  pixels: 'imagenet',
  published: /dinov3|lingbot/,
  rope: 'centred',
  rope_temperature: 100,
  rope_pairing: 'half',
  eps: 1e-5,
  pool: 'avg',
} as const;

/** Source: the entry functions of timm 1.0.31, models/eva.py. The first kind that holds. */
const kinds: readonly EvaKind[] = [
  {
    ...perceptionEncoder,
    rope_offset: 1,
    holds: (parameters, { classToken }) => isPerceptionEncoder(parameters) && classToken,
  },
  { ...perceptionEncoder, holds: isPerceptionEncoder },
  {
    ...ropeVit,
    published: /_rope_mixed_/,
    rope: 'mixed',
    rope_indexing: 'xy',
    holds: (parameters) => parameters.has('rope.freqs'),
  },
  {
    ...dinov3,
    label: 'sapiens2',
    published: /sapiens2/,
    eps: 1e-6,
    pool: 'token',
    holds: (parameters, { positions }) => positions === 0 && parameters.has('blocks.0.attn.q_norm.weight'),
  },
  {
    ...dinov3,
    // Without registers, which a config may leave out, keys by themselves tell it from RoPE-ViT.
    holds: (parameters, { positions, classToken, registers }) =>
      positions === 0 && classToken && (registers > 0 || parameters.has('blocks.0.attn.k_proj.weight')),
  },
  {
    ...ropeVit,
    published: /_rope_reg/,
    rope: 'axial',
    rope_ref_grid: [16, 16],
    holds: (_, { positions, registers }) => positions === 0 && registers > 0,
  },
  {
    ...ropeVit,
    published: /_rope_(?:ape_)?\d/,
    rope: 'axial',
    rope_indexing: 'xy',
    rope_temperature: 100,
    holds: (parameters, { positions }) => positions === 0 || parameters.has('blocks.0.attn.qkv.bias'),
  },
  {
    label: 'eva02',
    pixels: 'clip',
    published: /^eva02_(?!enormous)/,
    rope: 'axial',
    rope_ref_grid: [16, 16],
    eps: 1e-6,
    pool: 'token',
    holds: hasGate,
  },
  {
    label: 'eva',
    pixels: 'clip',
    published: /^eva_giant|^eva02_enormous/,
    rope: 'none',
    eps: 1e-6,
    pool: 'token',
    holds: () => true,
  },
];

/**
 * What only blocks of eva.py have: BEiT's name for LayerScale, biases of queries and values apart,
 * three projections.
 */
const ownParameters = ['gamma_1', 'attn.q_bias', 'attn.q_proj.weight'];

/** Names of timm's plain transformers, and of those that are none. */
const ofEva = /^(?!vit_)|_pe_|_rope|dinov3|lingbot|sapiens/;

/**
 * The kind of model that these parts make, or of the architecture that config.json names;
 * undefined if no block of eva.py has the parts.
 */
export function evaKindOf(
  parameters: Found['tensors'],
  measures: Measures,
  architecture: string | undefined,
): EvaKind | undefined {
  const own = ownParameters.some((name) => parameters.has(`blocks.0.${name}`));
  const named =
    architecture === undefined ? [] : kinds.filter(({ published }) => published.test(architecture));
  const isOther = architecture !== undefined && !ofEva.test(architecture);
  if (isOther || !(own || named.length > 0 || isPerceptionEncoder(parameters))) return undefined;
  const holds = (kind: EvaKind): boolean => kind.holds(parameters, measures);
  const learned = parameters.has('rope.freqs');
  const alike = named.filter(({ rope }) => (rope === 'mixed') === learned);
  return alike.find(holds) ?? alike[0] ?? kinds.find(holds);
}
