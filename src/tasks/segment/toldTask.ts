import type { GraphSize, Model } from '../../models/model';
import type { GivenTensor, Prepared, Program } from '../task';
import type { Given } from '../run';
import { encodeTexts, tokenizerOf } from '../words';

/** What a model can be asked for that is told so in words. */
const tasks = ['semantic', 'instance', 'panoptic'] as const;

/** What the graph calls the ids of the words. */
const inputName = 'task_inputs';

/** The task that a user states; panoptic without one. Throws if it is none. */
function taskIn({ task = 'panoptic' }: Given): (typeof tasks)[number] {
  const found = tasks.find((each) => each === task);
  if (found) return found;
  throw new Error(`task: ${String(task)} found; one of ${tasks.join(', ')} is needed`);
}

/**
 * Token ids of "the task is semantic" and the like as numbers, with zeros behind them, as
 * transformers' OneFormerProcessor has them. Throws with the file that is missing of a tokenizer.
 */
export async function prepareTask(model: Model, given: Given, context: number): Promise<Prepared> {
  const task = taskIn(given);
  const ids = idsIn(given, context) ?? (await idsOf(model, task, context));
  const data = Float32Array.from({ length: context }, (_, index) => ids[index] ?? 0);
  return { tensors: { [inputName]: { dtype: 'F32', shape: [1, context], data } }, words: [task] };
}

/** Token ids that a user gives in place of words. Throws if they are none or too many. */
function idsIn({ [inputName]: ids }: Given, context: number): readonly number[] | undefined {
  if (ids === undefined) return undefined;
  const isId = (id: unknown): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0;
  if (Array.isArray(ids) && ids.length <= context && ids.every(isId)) return ids;
  throw new Error(`${inputName}: at most ${context} token ids are needed`);
}

/** The ids of the task's words, zeros for padding. */
async function idsOf(model: Model, task: string, context: number): Promise<readonly number[]> {
  const texts = [`the task is ${task}`];
  const { ids, mask } = encodeTexts(await tokenizerOf(model), texts, { most: context, padTo: context });
  return Array.from({ length: context }, (_, index) => valueAt(ids, index) * valueAt(mask, index));
}

const valueAt = ({ data }: GivenTensor, index: number): number => Number(data[index] ?? 0);

/** An image and the task's words to masks and classes of queries. */
export function taskProgram(model: Model, size: GraphSize, { tensors }: Prepared): Program {
  const [part] = model.parts;
  const task = tensors[inputName];
  if (!part || !task) throw new Error('the model is not told what it is asked for');
  const { inputs, outputs } = part.graph(size);
  const pixels = inputs.find(({ name }) => name !== inputName)?.name ?? 'pixel_values';
  const read = outputs.filter(({ means }) => means === 'masks' || means === 'logits');
  return {
    steps: [
      {
        part: part.name,
        inputs: { [pixels]: 'image', [inputName]: task },
        outputs: read.map(({ name }) => name),
      },
    ],
  };
}
