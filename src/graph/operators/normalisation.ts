import { elementCount } from '../../checkpoint/tensors';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { selectAlike } from './selection';

/**
 * Normalises in place of its input; `mean` and `inverse deviation` outputs only exist in training.
 */
const normalise = (check?: (call: Call) => void): Operator => ({
  kind: 'normalisation',
  infer: (call) => {
    check?.(call);
    return [call.output(call.shape(0))];
  },
});

/** Scale and bias vectors stand for the last axes from `axis` on. */
function checkTrailing(call: Call): void {
  const axis = call.axis(call.int('axis', -1), call.rank(0));
  const trailing = call.shape(0).slice(axis);
  for (const index of [1, 2].filter((at) => call.has(at))) {
    const own = call.shape(index);
    const fits = own.every((size, at) => size === 1 || size === trailing[at - own.length + trailing.length]);
    if (!fits || own.length > call.rank(0)) call.fail(`input ${index} does not fit the normalised axes`);
  }
}

/** Scale, bias and running statistics hold one number per channel. */
const checkChannels =
  (inputs: readonly number[], allowed: (call: Call) => readonly number[]) =>
  (call: Call): void => {
    for (const index of inputs)
      if (!allowed(call).includes(call.shape(index)[0] ?? 1))
        call.fail(`input ${index} does not hold one number per channel`);
  };
const channels = (call: Call): readonly number[] => [call.size(0, 1)];

/**
 * fvcore charges five operations an element, or four without a learned scale, which the graph
 * writes as a constant.
 */
const charge = (call: Call): number => (call.isConstant(1) ? 4 : 5) * elementCount(call.shape(0));

const layerNormalization: Operator = {
  kind: 'normalisation',
  infer: (call): readonly OutputInfo[] => {
    checkTrailing(call);
    const axis = call.axis(call.int('axis', -1), call.rank(0));
    const statistics = call.shape(0).map((size, at) => (at < axis ? size : 1));
    const rows: readonly OutputInfo[] = [
      call.output(call.shape(0)),
      { dtype: 'F32', shape: statistics },
      { dtype: 'F32', shape: statistics },
    ];
    return rows.slice(0, Math.max(1, call.node.outputs.length));
  },
  select: selectAlike((call, { shape }) =>
    [...shape.keys()].slice(call.axis(call.int('axis', -1), shape.length)),
  ),
};

/** Normalisations. */
export const normalisation = {
  LayerNormalization: {
    ...layerNormalization,
    charge,
    title: 'Layer normalisation',
    formula: '(x − mean) / √(variance + ε) · γ + β',
  },
  RMSNormalization: {
    ...normalise(checkTrailing),
    title: 'RMS normalisation',
    formula: 'x / √(mean(x²) + ε) · γ',
  },
  SimplifiedLayerNormalization: layerNormalization,
  BatchNormalization: {
    ...normalise(checkChannels([1, 2, 3, 4], channels)),
    charge: (call) => 2 * elementCount(call.shape(0)),
    title: 'Batch normalisation',
    formula: '(x − running mean) / √(running variance + ε) · γ + β',
  },
  InstanceNormalization: {
    ...normalise(checkChannels([1, 2], channels)),
    charge,
    title: 'Instance normalisation',
  },
  // Opset 18 took one number per group, opset 21 takes one per channel.
  GroupNormalization: {
    ...normalise(checkChannels([1, 2], (call) => [...channels(call), call.int('num_groups', 1)])),
    charge,
    title: 'Group normalisation',
  },
  LpNormalization: normalise(),
  MeanVarianceNormalization: normalise(),
  LRN: normalise(),
} as const satisfies OperatorTable;
