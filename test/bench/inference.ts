import { PathRunner } from '../../src/useCases/run';
import { InferenceClient } from '../../src/inference/client';
import { defaultLimits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { createInference } from '../../src/inference/service';
import { dist } from './processes';

const processPath = `${dist}/process.js`;
const log = { debug() {}, info() {}, warn() {} };

/** The product's inference as the command line starts it. */
export const startInference = (): PathRunner =>
  new PathRunner(createInference({ processPath, store: createMemoryStore(), log, limits: defaultLimits }));

/** Starts an inference process that has only said hello, and asks something about it. */
export async function withIdleProcess<T>(ask: (processId: number) => T): Promise<T> {
  const client = new InferenceClient({ processPath, log });
  try {
    return await client.request(async () => ask(client.processId!));
  } finally {
    await client.dispose();
  }
}
