import type { OperatorTable } from './call';
import { unary } from './elementwise';
import { matrix } from './matrix';
import { normalisation } from './normalisation';

/** Operators of onnxruntime's own domain that are kept as they are (onnxruntime docs/ContribOperators.md); the fused ones are lowered on import. */
export const contrib = {
  Gelu: unary('activation'),
  FastGelu: unary('activation'),
  QuickGelu: unary('activation'),
  SimplifiedLayerNormalization: normalisation.SimplifiedLayerNormalization,
  FusedConv: matrix.Conv,
  FusedGemm: matrix.Gemm,
  DynamicQuantizeMatMul: matrix.MatMul,
  MatMulIntegerToFloat: {
    ...matrix.MatMulInteger,
    infer: (call) => [{ ...matrix.MatMulInteger.infer(call)[0]!, dtype: 'F32' }],
  },
} as const satisfies OperatorTable;
