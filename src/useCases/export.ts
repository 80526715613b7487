import { exportOnnx, type Exported, type ExportOptions } from '../inference/export';
import type { Model } from '../models/model';

/** An exported model: its files, and the shapes of its inputs and outputs by name. */
export interface ExportedModel extends Exported {
  readonly tensors: Readonly<Record<string, readonly number[]>>;
}

/**
 * Writes a model, at the image size that it is understood for, as an ONNX file that depends on no
 * other. Throws if the architecture is not known.
 */
export async function exportModel(
  model: Model,
  target: string,
  options: ExportOptions,
): Promise<ExportedModel> {
  const graph = model.graph();
  const exported = await exportOnnx(graph, model.checkpoint.selected.tensors, target, options);
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    shape: graph.values.get(value)?.shape ?? [],
  }));
  const tensors = [...graph.inputs, ...outputs].map(({ name, shape }) => [name, shape] as const);
  return { ...exported, tensors: Object.fromEntries(tensors) };
}
