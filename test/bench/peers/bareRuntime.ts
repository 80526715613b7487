// The runtime by itself: bareRuntime.js GRAPH [1x3x224x224] runs it on the same random input as
// often as it is told to, and fetches every output.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { elementCount } from '../../../src/checkpoint/tensors';
import { seeded } from '../../support/random';
import { answerLines } from './answerLines';

async function main(graph: string, stated = '1x3x224x224'): Promise<void> {
  const session = await InferenceSession.create(graph, { logSeverityLevel: 3 });
  const shape = stated.split('x').map(Number);
  const random = seeded(1);
  const pixels = Float32Array.from({ length: elementCount(shape) }, () => 2 * random() - 1);
  const feeds = { [session.inputNames[0]!]: new Tensor('float32', pixels, shape) };
  await answerLines(async () => void (await session.run(feeds)));
}

process.env.ORT_DISABLE_TELEMETRY = '1';
void main(process.argv[2]!, process.argv[3]);
