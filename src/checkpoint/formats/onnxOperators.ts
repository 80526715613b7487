/**
 * The operators of the ONNX standard (domain `ai.onnx`, all versions up to opset 24) by the least
 * number of inputs they need, and the types of their attributes. Source:
 * onnx.defs.get_all_schemas_with_history() of onnx 1.19. Only for telling a broken file from an
 * unknown operator.
 */
const byLeastInputs: Readonly<Record<number, string>> = {
  0: 'Constant Optional OptionalHasElement RandomNormal RandomUniform SequenceEmpty',
  1:
    'Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Bernoulli BitwiseNot BlackmanWindow ' +
    'Cast Ceil Celu Clip Concat ConcatFromSequence ConstantOfShape Cos Cosh DFT DepthToSpace Det Dropout ' +
    'DynamicQuantizeLinear Einsum Elu Erf Exp EyeLike Flatten Floor Gelu GlobalAveragePool GlobalLpPool ' +
    'GlobalMaxPool HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If ImageDecoder IsInf ' +
    'IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization LpPool Max MaxPool Mean MeanVarianceNormalization ' +
    'Min Mish Multinomial Neg NonZero Not OptionalGetElement Pad RandomNormalLike RandomUniformLike ' +
    'Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ' +
    'ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize Round Scan Selu SequenceConstruct ' +
    'SequenceErase SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax ' +
    'Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringNormalizer StringSplit Sum ' +
    'Swish Tan Tanh TfIdfVectorizer ThresholdedRelu TopK Transpose Trilu Unique Unsqueeze Upsample',
  2:
    'Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CenterCropPad Compress Conv ' +
    'ConvInteger ConvTranspose CumSum DequantizeLinear Div Equal Expand Gather GatherElements GatherND ' +
    'Gemm Greater GreaterOrEqual GridSample LayerNormalization Less LessOrEqual Loop MatMul MatMulInteger ' +
    'MaxRoiPool MaxUnpool Mod Mul NegativeLogLikelihoodLoss NonMaxSuppression Or PRelu Pow QuantizeLinear ' +
    'RMSNormalization ReverseSequence STFT SequenceAt SequenceInsert SoftmaxCrossEntropyLoss StringConcat ' +
    'Sub TensorScatter Tile Xor',
  3:
    'Attention Col2Im DeformConv GRU GroupNormalization InstanceNormalization LSTM OneHot RNN Range ' +
    'RoiAlign RotaryEmbedding Scatter ScatterElements ScatterND Where',
  5: 'BatchNormalization MelWeightMatrix',
  8: 'QLinearConv QLinearMatMul',
};

/** Attribute names whose type is the same in every operator that has them. */
const attributesByType: Readonly<Record<string, string>> = {
  float:
    'alpha beta bias clip cubic_coeff_a epsilon extrapolation_value gamma height_scale high lambd low max ' +
    'mean min momentum ratio scale softcap spatial_scale value_float width_scale',
  floats: 'activation_alpha activation_beta scales value_floats weights',
  graph: 'body else_branch then_branch',
  int:
    'align_corners allowzero antialias axis batch_axis batch_dims block_size blocksize broadcast ' +
    'ceil_mode center_point_box count_include_pad detect_negative detect_positive dtype end ' +
    'exclude_outside exclusive fmod group hidden_size ignore_index input_forget interleaved inverse ' +
    'is_case_sensitive is_causal is_test k keepdims kv_num_heads largest layout linear_before_reset ' +
    'max_gram_length max_skip_count maxsplit min_gram_length new_axis noop_with_empty_axes num_groups ' +
    'num_heads num_outputs num_scan_inputs offset_group onesided output_datatype output_dtype ' +
    'output_height output_sequence output_width periodic precision q_num_heads qk_matmul_output_mode ' +
    'reverse rotary_embedding_dim sample_size sampling_ratio saturate select_last_index size ' +
    'softmax_precision sorted spatial start stash_type storage_order time_axis training_mode transA ' +
    'transB upper value_int',
  ints:
    'axes consumed_inputs dilations directions ends kernel_shape ngram_counts ngram_indexes ' +
    'output_padding output_shape paddings pads perm pool_int64s pooled_shape scan_input_axes ' +
    'scan_input_directions scan_output_axes scan_output_directions shape split starts strides value_ints',
  string:
    'approximate auto_pad case_change_action coordinate_transformation_mode delimiter direction equation ' +
    'keep_aspect_ratio_policy locale mode nearest_mode padding_mode pattern pixel_format reduction ' +
    'round_mode value_string',
  strings: 'activations pool_strings stopwords value_strings',
};

/** Operator -> least number of inputs. */
export const onnxOperators: ReadonlyMap<string, number> = invert(byLeastInputs, Number);

/** Attribute -> its type, as `OnnxAttribute.type` names it. */
export const onnxAttributeTypes: ReadonlyMap<string, string> = invert(attributesByType, String);

function invert<T>(table: Readonly<Record<string, string>>, parse: (key: string) => T): Map<string, T> {
  return new Map(
    Object.entries(table).flatMap(([key, names]) => names.split(' ').map((name) => [name, parse(key)])),
  );
}
