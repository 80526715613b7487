import type { Tensor } from '../../checkpoint/tensors';
import { isBuffer } from '../buffers';
import type { Found } from '../family';

/** Parameters of pretraining, which take no part in what a model answers. */
const ofPretraining = /mask|decoder/;

/**
 * Parameters at the root of the network that are as wide as its tokens and that no row of the
 * naming knows: a token of a pretext task, an embedding of cameras. What the model makes of them
 * is not known, but without them it is another one.
 */
export function strayTokens({ tensors, checkpoint, prefix }: Found, dim: number): readonly Tensor[] {
  const known = new Set([...tensors.values()].map(({ tensor }) => tensor.name));
  return checkpoint.selected.tensors.filter((tensor) => {
    const { name, shape } = tensor;
    const bare = name.slice(prefix.length);
    return (
      name.startsWith(prefix) &&
      /^\w+$/.test(bare) &&
      !ofPretraining.test(bare) &&
      shape.length >= 2 &&
      shape.at(-1) === dim &&
      !known.has(name) &&
      !isBuffer(tensor)
    );
  });
}

/** Says that a network is run without such parameters. */
export const withoutTokens = (stray: readonly Tensor[]): readonly string[] =>
  stray.map(
    ({ name, shape }) =>
      `${name} [${shape.join(', ')}] is as wide as the tokens, and what the model makes of it is not known: only the backbone without it is run, and no classifier.`,
  );
