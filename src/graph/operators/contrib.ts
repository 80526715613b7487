import { activation } from './activation';
import type { OperatorTable } from './call';
import { unary } from './elementwise';
import { matrix } from './matrix';
import { normalisation } from './normalisation';

/**
 * Operators of onnxruntime's own domain that are kept as they are (onnxruntime
 * docs/ContribOperators.md); the fused ones are lowered on import.
 */
export const contrib = {
  Gelu: activation.Gelu,
  FastGelu: unary('activation'),
  QuickGelu: unary('activation'),
  SimplifiedLayerNormalization: normalisation.SimplifiedLayerNormalization,
  FusedConv: matrix.Conv,
  FusedGemm: matrix.Gemm,
  DynamicQuantizeMatMul: { ...matrix.MatMul, scales: [2, 3] },
  MatMulIntegerToFloat: {
    ...matrix.MatMulInteger,
    scales: [2, 3, 4, 5],
    infer: (call) => matrix.MatMulInteger.infer(call).map(({ shape }) => ({ dtype: 'F32', shape })),
  },
} as const satisfies OperatorTable;
