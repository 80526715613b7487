import { largest } from '../domain/lists';
import { offeredHint, type Structure } from '../models/structure';
import type { Model } from '../models/model';
import type { StructureView } from '../protocol/inspector';

/** What tensors are in words, by the name that a library gives them; the first that fits. */
const roles: readonly (readonly [name: RegExp, role: string])[] = [
  [/cls_token$|class_token$|class_embedding$|(?:^|\/)cls$/, 'class token'],
  [/reg(?:ister)?_tokens?$|storage_tokens$/, 'register tokens'],
  [/dist(?:illation)?_token$/, 'distillation token'],
  [/mask_token$/, 'mask token'],
  [/relative_position|rel_pos|attention_bias/, 'relative positions'],
  [/pos_?(?:embed|itional)|position/, 'positions'],
  [/patch_?embed|conv_proj|^conv1\.|embedding\/kernel/, 'patch embedding'],
  [/ls\d?\.gamma$|gamma_\d$|lambda1$/, 'layer scale'],
  [/(?:qkv|in_proj)/, 'queries, keys and values'],
  [/(?:^|[._])(?:q|q_proj|query|wq)(?:[._]|$)/, 'queries'],
  [/(?:^|[._])(?:k|k_proj|key|wk)(?:[._]|$)/, 'keys'],
  [/(?:^|[._])(?:v|v_proj|value|wv)(?:[._]|$)/, 'values'],
  [/(?:attn|attention|self_attn).*(?:proj|out|dense)/, 'attention output'],
  [/mlp|fc1|fc2|ffn|intermediate|output\.dense/, 'MLP'],
  [/norm|ln_|layernorm/, 'norm'],
  [/head|classifier|^fc\./, 'head'],
];

const leaves: readonly (readonly [name: RegExp, leaf: string])[] = [
  [/(?:bias|beta)$/, ', bias'],
  [/running_(?:mean|var)$/, ', statistics'],
];

/** `queries, keys and values of 3`: the role and the numbers of the blocks around it. */
export function roleOf(as: string): string {
  const role = roles.find(([name]) => name.test(as))?.[1];
  if (role === undefined) return '';
  const numbers = [...as.matchAll(/[._/](\d+)(?=[./])/g)].map(([, number]) => number);
  const leaf = leaves.find(([name]) => name.test(as))?.[1] ?? '';
  return `${role}${leaf}${numbers.length > 0 ? ` · block ${numbers.join('.')}` : ''}`;
}

/** The mapping for the inspector: confirmed, or offered for a file that is not known. */
export function structureView({ structure, offered }: Model): StructureView | undefined {
  const shown = structure ?? offered?.();
  if (!shown) return undefined;
  const { file, mapping, title = '', layout = '', others, doubts } = shown;
  const shapes = new Map(file.selected.tensors.map(({ name, shape }) => [name, shape]));
  return {
    confirmed: structure !== undefined,
    title,
    layout,
    rows: mapping.map(({ name, as }) => ({ name, as, shape: shapes.get(name) ?? [], role: roleOf(as) })),
    others,
    doubts,
  };
}

/** How names were read that say nothing, or that they can be read: for the command line's JSON. */
export function structureJson({ structure, offered }: Model): object {
  if (structure) return { mapping: structure.mapping };
  return offered?.() ? { hint: offeredHint } : {};
}

/** The same for people: each tensor with what it is read as. */
export function structureLines({ structure, offered }: Model): readonly string[] {
  if (!structure) return offered?.() ? [`hint: ${offeredHint}`] : [];
  return mappingLines(structure);
}

function mappingLines({ file, mapping }: Structure): readonly string[] {
  const shapes = new Map(file.selected.tensors.map(({ name, shape }) => [name, shape]));
  const width = largest([0, ...mapping.map(({ name }) => name.length)]);
  return mapping.map(
    ({ name, as }) => `⚠ ${name.padEnd(width)}  read as ${as}  [${(shapes.get(name) ?? []).join(', ')}]`,
  );
}
