import { consolidating } from '../../checkpoint/formats/foreignNames';
import type { Tensor } from '../../checkpoint/tensors';
import { relativeOf } from './relatives';

/**
 * Files that people open by mistake, by names that only they have; the first that some tensor has.
 */
const kinds: readonly (readonly [kind: string, name: RegExp])[] = [
  [
    'adapter weights (LoRA), which --adapter or Apply LoRA Adapter… applies to a base that is opened',
    /lora_(?:A|B|up|down|left|right)\b|\.lora\.|lora_unet_|lora_te\d?_/,
  ],
  ['optimizer state', /^(?:optimizer[._]|state\.\d+\.|exp_avg|.*\.(?:exp_avg|exp_avg_sq|momentum_buffer)$)/],
  [
    'a diffusion model',
    /^(?:model\.diffusion_model\.|unet\.|down_blocks\.|input_blocks\.|double_blocks\.|transformer_blocks\.)/,
  ],
  [
    'a language model',
    /^(?:model\.layers\.\d+\.self_attn\.|transformer\.h\.\d+\.|gpt_neox\.|h\.\d+\.attn\.|lm_head\.|(?:bert|roberta)\.encoder\.|encoder\.block\.\d+\.layer\.)/,
  ],
  [
    'ViLT, whose blocks read words and patches together: it is counted, and not run without its text',
    /^(?:vilt\.)?embeddings\.token_type_embeddings\./,
  ],
  ['a YOLO detector', /^(?:model\.)?(?:model\.)?\d+\.(?:cv\d|m\.\d+|conv|bn)\b/],
];

/**
 * What a file is whose parameters FSDP has laid end to end, and what to do; undefined if it has
 * none such. Names and shapes of what they hold are not in the file.
 */
export function flattenedBy(tensors: readonly Tensor[]): string | undefined {
  const flat = tensors.filter(({ name }) => /(?:^|\.)_flat_param(?:_\d+)?$/.test(name));
  const [first] = flat;
  return (
    first &&
    `${flat.length} of ${tensors.length} tensors are flattened parameters of FSDP, one for all of a module (${first.name} [${first.shape.join(', ')}]), perhaps one process's part of them: names and shapes are not in the file. ${consolidating.fsdp}`
  );
}

/**
 * Why the tensors are not taken for a vision transformer, if a name tells; undefined if none
 * does.
 */
export function otherKind(tensors: readonly Tensor[]): string | undefined {
  for (const [kind, name] of kinds) {
    const found = tensors.find((tensor) => name.test(tensor.name));
    if (found) return `looks like ${kind}: ${found.name}`;
  }
  const relative = relativeOf(tensors);
  if (relative !== undefined) return `looks like ${relative}`;
  return tensors.some((tensor) => tensor.name.includes('.'))
    ? undefined
    : 'plain arrays without module names';
}
