import type { Graph } from '../graph/graph';
import { hash } from '../models/identity';
import type { OpenedModel } from '../models/openedModels';
import type { ModelRequest } from './remoteApi';

/**
 * The request that puts a graph of an opened model to the inference process. Throws if the model is
 * counted and shown, but must not be run as it is.
 *
 * @param variant what the graph was made into, if it is not the model's own
 */
export function modelRequest(
  opened: OpenedModel,
  graph: Graph,
  settings: Pick<ModelRequest, 'threads' | 'attention'>,
  variant?: string,
): ModelRequest {
  const { recognition } = opened.model;
  if (recognition.family !== null && recognition.notRun !== undefined) throw new Error(recognition.notRun);
  const read = new Set(
    [...graph.initializers.values()].flatMap(({ data }) => (data.kind === 'parameter' ? [data.tensor] : [])),
  );
  const shapes = graph.inputs.map(({ name, shape }) => [name, shape]);
  return {
    key: hash([opened.identity, shapes, settings, ...(variant === undefined ? [] : [variant])]),
    graph,
    tensors: opened.model.checkpoint.selected.tensors.filter(({ name }) => read.has(name)),
    files: opened.files,
    ...settings,
  };
}
