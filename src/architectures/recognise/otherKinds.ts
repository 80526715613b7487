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
