import type { DefaultsName } from '../../preprocessing/defaults';
import { plainRows } from '../../preprocessing/published/models';
import type { ConfigValue } from '../family';
import { publishedKey, type Measures } from '../groups/measure';

/** Facts of a published model that its weights do not hold. */
export interface Published {
  readonly models: readonly string[];
  readonly heads: number;
  readonly activation?: ConfigValue;
  readonly eps?: ConfigValue;
  readonly pool_prefix?: ConfigValue;
  readonly norm_order?: ConfigValue;
  readonly pixels?: DefaultsName;
}

/**
 * What timm's entry functions set beside sizes, by the architecture's name. Source: timm 1.0.31,
 * models/vision_transformer.py (act_layer, norm_layer, pool_include_prefix of each entry function).
 */
const timmEntries: readonly (readonly [name: RegExp, facts: Readonly<Record<string, ConfigValue>>])[] = [
  [/quickgelu/, { activation: 'quick_gelu' }],
  [/^aimv2_/, { activation: 'silu' }],
  [
    /^vit_(?:base_patch32|so400m_patch16|giantopt_patch16)_siglip_|^vit_large_patch16_siglip_(?:gap_)?512/,
    { activation: 'gelu_tanh' },
  ],
  [/_clip_|^beit3_|^aimv2_/, { eps: 1e-5 }],
  [/^test_vit3/, { pool_prefix: true }],
  [/_rpn_/, { norm_order: 'post' }],
];

/** What an entry function leaves alone: the defaults of VisionTransformer. */
const timmDefaults = { activation: 'gelu', eps: 1e-6, pool_prefix: false, norm_order: 'pre' } as const;

/** A fact that timm's entry functions set beside sizes. */
export type TimmFact = keyof typeof timmDefaults;

/** A fact of timm's architecture of this name. */
export function timmFact(architecture: string, key: TimmFact): ConfigValue {
  const entry = timmEntries.find(([name, facts]) => name.test(architecture) && facts[key] !== undefined);
  return entry?.[1][key] ?? timmDefaults[key];
}

/** Facts on which the entry functions of these architectures agree. */
function timmFacts(models: readonly string[]): Partial<Record<TimmFact, ConfigValue>> {
  const keys = Object.keys(timmDefaults) as TimmFact[];
  const facts = keys.map((key) => [key, new Set(models.map((model) => timmFact(model, key)))] as const);
  return Object.fromEntries(
    facts.filter(([, values]) => values.size === 1).map(([key, [value]]) => [key, value]),
  );
}

/**
 * Published models with these names and shapes; those of the same sizes if no dialect writes just
 * these.
 */
export function publishedModels(measures: Measures, dialect: string): readonly Published[] {
  const key = publishedKey(measures);
  const sized = plainRows().filter(({ row: [, sizes] }) => sizes === key);
  const alike = sized.filter(({ row: [, , traits] }) => traits === measures.traits);
  const same = alike.filter(({ row: [naming] }) => naming === dialect);
  const chosen = [same, alike, sized].find((some) => some.length > 0) ?? [];
  return chosen.map(({ row: [naming, , , heads, activation, eps, pixels], models }) => ({
    models,
    heads,
    ...(naming === 'timm' && timmFacts(models)),
    ...(activation !== null && { activation }),
    ...(eps !== null && { eps }),
    ...(pixels !== null && { pixels }),
  }));
}

/** The published model that config.json names. */
export function publishedNamed(architecture: string): Published | undefined {
  const isNamed = (model: string): boolean => model.replace(/\..*$/, '') === architecture;
  const found = plainRows().find(({ models }) => models.some(isNamed));
  return found && { models: found.models, heads: found.row[3] };
}
