import { exportOnnx, type ExportOptions } from '../inference/export';
import { askedLengths } from '../models/lengths';
import { namedGraphs, type Model, type NamedGraph } from '../models/model';

/** What is written of a model, and how it is told. */
export interface ModelExport extends ExportOptions {
  /** Parts by name; all without it. */
  readonly parts?: readonly string[];
  /** Texts, tokens, frames and prompts that graphs are written for; the model's own by default. */
  readonly lengths?: Readonly<Record<string, number>>;
}

/** A part that was written: its files, and the shapes of its inputs and outputs by name. */
export interface ExportedPart {
  readonly part: string;
  readonly files: readonly string[];
  readonly tensors: Readonly<Record<string, readonly number[]>>;
}

export interface ExportedModel {
  readonly files: readonly string[];
  readonly bytes: number;
  readonly parts: readonly ExportedPart[];
}

/** Names of a model's parts that can be exported by themselves. Throws if it has none. */
export function partNames(model: Model): readonly string[] {
  // What cannot be exported says so.
  if (model.parts.length === 0) model.graph();
  return model.parts.map(({ name }) => name);
}

/**
 * Where parts are written for a target: of a model of several each beside the target under its own
 * name, `MODEL.image.onnx`; the target itself where it is one, or one that was asked for.
 */
export function exportTargets(model: Model, target: string, parts?: readonly string[]): readonly string[] {
  const names = partNames(model);
  const unknown = parts?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new Error(`${model.checkpoint.path}: no part ${unknown}; it has ${names.join(', ')}`);
  const chosen = parts ?? names;
  if (chosen.length === 1) return [target];
  const stem = target.replace(/\.onnx$/i, '');
  return chosen.map((name) => `${stem}.${name}.onnx`);
}

/**
 * Writes the parts of a model, at the image size that it is understood for, each as an ONNX file
 * that depends on no other. Throws if the architecture is not known, or a part or length is none of
 * the model's.
 */
export async function exportModel(
  model: Model,
  target: string,
  { parts, lengths: asked, progress, ...options }: ModelExport,
): Promise<ExportedModel> {
  const targets = exportTargets(model, target, parts);
  const { lengths } = askedLengths(model, asked);
  const graphs = namedGraphs(model, { lengths }).filter(({ name }) => parts?.includes(name) ?? true);
  const written: ExportedPart[] = [];
  let bytes = 0;
  for (const [index, part] of graphs.entries()) {
    const share = (done: number): void => progress?.((index + done) / graphs.length);
    const file = targets[index] ?? target;
    const { tensors } = model.checkpoint.selected;
    const exported = await exportOnnx(part.graph, tensors, file, { ...options, progress: share });
    bytes += exported.bytes;
    written.push({ part: part.name, files: exported.files, tensors: shapesOf(part) });
  }
  return { files: written.flatMap(({ files }) => files), bytes, parts: written };
}

function shapesOf({ graph }: NamedGraph): Readonly<Record<string, readonly number[]>> {
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    shape: graph.values.get(value)?.shape ?? [],
  }));
  return Object.fromEntries([...graph.inputs, ...outputs].map(({ name, shape }) => [name, shape]));
}
