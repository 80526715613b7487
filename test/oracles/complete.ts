import { folded, layerMark, type CompleteRow } from '../../src/architectures/published/complete';
import type { ConfigValue } from '../../src/architectures/family';
import { kindOf, ownMembers, ownNames } from '../../src/architectures/recognise/complete';
import { isBeside } from '../../src/architectures/recognise/fit';
import { buildGraph, recognise, type Known } from '../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open';
import { checkpointPath, readCases } from '../support/cases';
import { checkpointOf, linesFolder, readLines } from './lines';

/** Names of a model, and those of them that its graph reads. */
interface Model {
  readonly has: ReadonlySet<string>;
  readonly reads: ReadonlySet<string>;
}

interface Kind {
  isPublished: boolean;
  readonly models: Model[];
}

type Assume = Readonly<Record<string, ConfigValue>>;

function known(checkpoint: Checkpoint, assume: Assume): Known | undefined {
  try {
    const recognition = recognise(checkpoint, { assume });
    return recognition.family === null ? undefined : recognition;
  } catch {
    // A backbone alone has not all that is assumed of the model around it.
    return undefined;
  }
}

/** Whether a parameter is the weight of a linear layer or a convolution, not a table. */
const isLayer = (name: string, { length }: readonly number[]): boolean =>
  length > 1 && /(?:weight|kernel)$/.test(name) && !/embed(?:ding)?s?[./]\w+$/.test(name);

function add(kinds: Map<string, Kind>, checkpoint: Checkpoint, isPublished: boolean, assume: Assume): void {
  const model = known(checkpoint, assume);
  if (!model?.translation) return;
  const { used } = buildGraph(checkpoint, model);
  const members = ownMembers(model);
  const names = ownNames(model).map((name, index) =>
    isLayer(name, members[index]?.tensor.shape ?? []) ? `${name}${layerMark}` : name,
  );
  const kind = kinds.get(kindOf(model)) ?? { isPublished: false, models: [] };
  kinds.set(kindOf(model), kind);
  kind.isPublished ||= isPublished;
  kind.models.push({
    has: new Set(names),
    reads: new Set(names.filter((_, index) => used.has(members[index]?.tensor.name ?? ''))),
  });
}

/** The image backbone of a file that holds more, as it is saved alone; undefined if it is all. */
function backboneOf(checkpoint: Checkpoint, assume: Assume): Checkpoint | undefined {
  const model = known(checkpoint, assume);
  const parameters = [...(model?.translation?.parameters ?? [])];
  const isPart = model?.whole ?? parameters.some(([name]) => isBeside(name));
  if (!model || !isPart) return undefined;
  const { used } = buildGraph(checkpoint, model);
  const own = new Set(
    parameters.flatMap(([name, { tensor }]) =>
      isBeside(name) || !used.has(tensor.name) ? [] : [tensor.name],
    ),
  );
  const tensors = checkpoint.selected.tensors.filter(({ name }) => own.has(name));
  const selected = { ...checkpoint.selected, tensors };
  return { ...checkpoint, selected, stateDicts: [selected] };
}

function rowOf({ isPublished, models }: Kind): CompleteRow | undefined {
  const all = [...new Set(models.flatMap(({ reads }) => [...reads]))];
  // What some model has and does not read matters to none.
  const read = all.filter((name) => models.every(({ has, reads }) => !has.has(name) || reads.has(name)));
  const sets = models.map(({ has }) => read.filter((name) => has.has(name)));
  const common = read.filter((name) => models.every(({ has }) => has.has(name)));
  const rest = sets.map((names) => folded(names.filter((name) => !common.includes(name))));
  const times = (text: string): number => rest.filter((other) => other === text).length;
  // What most models have comes first.
  const usualFirst = [...new Set(rest)].sort().toSorted((left, right) => times(right) - times(left));
  return read.length === 0 ? undefined : [isPublished ? 1 : 0, folded(common), ...usualFirst];
}

/** The text of completeTable.ts. */
export async function completeTableText(): Promise<string> {
  const kinds = new Map<string, Kind>();
  const addBoth = (checkpoint: Checkpoint, isPublished: boolean, assume: Assume = {}): void => {
    add(kinds, checkpoint, isPublished, assume);
    const backbone = backboneOf(checkpoint, assume);
    if (backbone) add(kinds, backbone, isPublished, {});
  };
  for (const line of readLines(linesFolder)) addBoth(checkpointOf(line), true);
  for (const golden of readCases())
    if (golden.format !== 'onnx') addBoth(await openCheckpoint(checkpointPath(golden)), false, golden.assume);
  const rows = [...kinds]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([key, kind]) => {
      const row = rowOf(kind);
      return row ? [`${JSON.stringify(key)}:${JSON.stringify(row)}`] : [];
    });
  return (
    `/** Written by test/oracles/makeComplete.ts; complete.ts describes and parses it. */\n` +
    `export const completeTable = \`{\n${rows.join(',\n')}\n}\`;\n`
  );
}
