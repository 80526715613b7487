import type { Graph } from '../graph';
import { perGraph } from '../perGraph';

/**
 * What the checkpoint itself calls the layer of each probe: the longest path that all its
 * parameters have in common there (`vit.encoder.layer.3`, `Transformer/encoderblock_3`); the
 * canonical path of a layer without parameters.
 */
export const ownLayerNames = perGraph((graph: Graph): readonly string[] => {
  const tensors = new Map<string, string[]>(graph.probes.map(({ layer }) => [layer, []]));
  for (const { scope, inputs } of graph.nodes)
    for (const path of pathsAbove(scope))
      for (const input of inputs) {
        const data = graph.initializers.get(input)?.data;
        if (data?.kind === 'parameter') tensors.get(path)?.push(data.tensor);
      }
  return graph.probes.map(({ layer }) => commonPath(tensors.get(layer) ?? []) || layer);
});

/** `blocks.3.attn` → `blocks.3.attn`, `blocks.3`, `blocks` */
function pathsAbove(scope: string): readonly string[] {
  const parts = scope.split('.');
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('.'));
}

function commonPath(names: readonly string[]): string {
  const [first = '', ...others] = names;
  const parts = first.split(/(?<=[./])/);
  let path = '';
  for (const part of parts.slice(0, -1)) {
    if (!others.every((name) => name.startsWith(path + part))) break;
    path += part;
  }
  return path.replace(/[./]$/, '');
}
