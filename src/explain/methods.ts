import type { Explained } from './explained';
import type { Explanation, ExplainOptions, Method } from './method';
import { ofActivations } from './methods/cams';
import { ofFaithfulness } from './methods/faithfulness';
import { ofHeads } from './methods/heads';
import { ofLayers } from './methods/layers';
import { ofPixels } from './methods/pixels';

/** Every method, in the order in which they are offered. */
export const methods: readonly Method[] = [
  ofLayers.relevant,
  ofPixels.gradient,
  ofPixels.inputXGradient,
  ofPixels.integrated,
  ofPixels.smooth,
  ofLayers.rolled,
  ofLayers.rolledByGradient,
  ofLayers.attentionCam,
  ...ofActivations,
  ofPixels.occluded,
  ...ofFaithfulness,
  ...ofHeads,
];

/** What one method came to: tensors and pictures, or why there are none. */
export type Outcome = { readonly method: Method } & (
  { readonly explanation: Explanation } | { readonly reason: string }
);

/** Asks methods one after the other; one that cannot serve says why. */
export async function explain(
  explained: Explained,
  names: readonly string[] | 'all',
  options: ExplainOptions,
): Promise<readonly Outcome[]> {
  const asked = names === 'all' ? methods : names.map(methodOf);
  const outcomes: Outcome[] = [];
  for (const method of asked) {
    const reason = method.whyNot(explained);
    if (reason === undefined)
      outcomes.push({ method, explanation: await method.compute(explained, options) });
    else outcomes.push({ method, reason });
  }
  return outcomes;
}

function methodOf(name: string): Method {
  const found = methods.find((method) => method.name === name);
  if (!found)
    throw new Error(`${name}: unknown method; known are ${methods.map((method) => method.name).join(', ')}`);
  return found;
}
