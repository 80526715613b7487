import { explainedOutput, onlyOutputs } from '../explain/explainedOutput';
import { valuesIn, type RunGraph, type Values } from '../explain/explained';
import { at } from '../domain/lists';
import type { Size } from '../domain/size';
import { valueOf, type Graph, type GraphOutput } from '../graph/graph';
import type { Model } from '../models/model';

/**
 * The output that images are compared by: the space of images and texts, else the pooled vector in
 * front of the classifier. Throws if the model has neither.
 */
function spaceOf(graph: Graph): GraphOutput {
  const isVector = ({ value }: GraphOutput): boolean => valueOf(graph, value).shape.length === 2;
  const vectors = (['embedding', 'features'] as const).flatMap((means) =>
    graph.outputs.filter((output) => output.means === means && isVector(output)),
  );
  const [first] = vectors;
  if (first) return first;
  throw new Error(`it has no vector of the image to be compared by, only ${explainedOutput(graph).name}`);
}

/** What an image is in the space of a model. */
export interface ImageVector {
  /** Name of the output. */
  readonly space: string;
  readonly vector: Float32Array;
}

/** Runs a model on pixels `[1, channels, height, width]` as far as its vector of the image. */
export async function vectorOf(model: Model, pixels: Values, run: RunGraph): Promise<ImageVector> {
  const imageSize: Size = [at(pixels.shape, 2), at(pixels.shape, 3)];
  const graph = model.at(imageSize).graph({ imageSize });
  const output = spaceOf(graph);
  const name = `vector ${imageSize.join('x')}`;
  const found = await run(name, onlyOutputs(graph, [output]), { [at(graph.inputs, 0).name]: pixels });
  return { space: output.name, vector: valuesIn(found, output.name).data };
}
