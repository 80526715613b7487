import { activationGradients } from './activation';
import { noGradient, type GradientRule } from './call';
import { elementwiseGradients } from './elementwise';
import { indexingGradients } from './indexing';
import { layoutGradients } from './layout';
import { matrixGradients } from './matrix';
import { normalisationGradients } from './normalisation';
import { poolingGradients } from './pooling';
import { reductionGradients } from './reduction';
import { gridSample } from './sampling';

export { GradientCall, GradientError, type GradientRule } from './call';

/** Operators whose output changes in steps, or not at all, with what they read. */
const stepwise = [
  'Equal',
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'And',
  'Or',
  'Xor',
  'Not',
  'IsNaN',
  'IsInf',
  'Sign',
  'Floor',
  'Ceil',
  'Round',
  'ArgMax',
  'ArgMin',
  'Shape',
  'Size',
  'OneHot',
  'NonZero',
  'EyeLike',
] as const;

/** Rules by operator: of ai.onnx, then of onnxruntime's own domain. */
export const gradients: Readonly<Record<string, Readonly<Record<string, GradientRule>>>> = {
  '': {
    ...elementwiseGradients,
    ...activationGradients,
    ...matrixGradients,
    ...normalisationGradients,
    ...reductionGradients,
    ...layoutGradients,
    ...indexingGradients,
    ...poolingGradients,
    GridSample: gridSample,
    ...Object.fromEntries(stepwise.map((op) => [op, noGradient])),
  },
  'com.microsoft': {
    Gelu: activationGradients.Gelu,
    FastGelu: activationGradients.FastGelu,
    QuickGelu: activationGradients.QuickGelu,
    SimplifiedLayerNormalization: normalisationGradients.SimplifiedLayerNormalization,
  },
};

/** Outputs of a node that its rule reads, if they are more than it has: statistics, places. */
const read: Readonly<Record<string, number>> = { LayerNormalization: 3, MaxPool: 2 };

/** How many outputs a node needs so that its gradient can be written. */
export const outputsForGradient = ({
  op,
  domain,
}: {
  readonly op: string;
  readonly domain: string;
}): number => (domain === '' || domain === 'ai.onnx' ? read[op] : undefined) ?? 1;
