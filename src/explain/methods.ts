import { sum } from '../domain/lists';
import { GradientError } from '../graph/rewrite/backward';
import { sessionBytes, type SessionBytes } from './derivedGraphs';
import type { Explained } from './explained';
import type { Explanation, ExplainOptions, Method } from './method';
import { bimodal } from './methods/bimodal';
import { ofActivations } from './methods/cams';
import { ofParts } from './methods/ablation';
import { ofChannels } from './methods/channelCams';
import { ofFaithfulness } from './methods/faithfulness';
import { ofHeads } from './methods/heads';
import { ofLayers } from './methods/layers';
import { ofOneLayer } from './methods/oneLayer';
import { ofPixels } from './methods/pixels';
import { randomisation } from './methods/randomisation';
import { road } from './methods/road';
import { ofTokens } from './methods/tokens';
import { ofValues } from './methods/values';
import { ofWeights } from './methods/weights';

/** Every method, in the order in which they are offered. */
export const methods: readonly Method[] = [
  ofLayers.relevant,
  bimodal,
  ofPixels.gradient,
  ofPixels.inputXGradient,
  ofPixels.integrated,
  ofPixels.smooth,
  ofLayers.rolled,
  ofLayers.rolledByGradient,
  ofLayers.attentionCam,
  ...ofOneLayer,
  ...ofActivations,
  ...ofChannels,
  ofPixels.occluded,
  ...ofFaithfulness,
  road,
  randomisation,
  ...ofHeads,
  ...ofValues,
  ...ofParts,
  ...ofTokens,
  ...ofWeights,
];

/** What one method came to: tensors and pictures, or why there are none. */
export type Outcome = { readonly method: Method } & (
  { readonly explanation: Explanation; readonly bytes?: SessionBytes } | { readonly reason: string }
);

/**
 * Bytes of the sessions with derivatives that a method asks for; undefined if it asks for none, or
 * if there are no derivatives.
 */
export function methodBytes(
  method: Method,
  explained: Explained,
  options: ExplainOptions,
): SessionBytes | undefined {
  try {
    const each = method
      .derived?.(explained, options)
      .map((derived) => sessionBytes(derived, explained.graph));
    return (
      each && {
        weights: sum(each.map(({ weights }) => weights)),
        kept: sum(each.map(({ kept }) => kept)),
      }
    );
  } catch (error) {
    if (error instanceof GradientError) return undefined;
    throw error;
  }
}

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
    const found = reason ?? (await computed(method, explained, options));
    if (typeof found === 'string') outcomes.push({ method, reason: found });
    else {
      const bytes = methodBytes(method, explained, options);
      outcomes.push({ method, explanation: found, ...(bytes && { bytes }) });
    }
  }
  return outcomes;
}

/** What the method finds, or why it finds nothing: an operator without a derivative is named. */
async function computed(
  method: Method,
  explained: Explained,
  options: ExplainOptions,
): Promise<Explanation | string> {
  try {
    const explanation = await method.compute(explained, options);
    return explanation.reason ?? explanation;
  } catch (error) {
    if (error instanceof GradientError) return error.message;
    throw error;
  }
}

/** The method of that name, or the one that gives tensors of that name; throws if there is none. */
export function methodOf(name: string): Method {
  const found =
    methods.find((method) => method.name === name) ?? methods.find(({ gives }) => gives?.includes(name));
  if (!found)
    throw new Error(`${name}: unknown method; known are ${methods.map((method) => method.name).join(', ')}`);
  return found;
}
