import { at, product } from '../../domain/lists';
import { valueOf, type Graph } from '../graph';
import { madeOf } from '../order';
import { perGraph } from '../perGraph';
import { valuesOfImage } from './headOutputs';

/** A table of one vector for each position, as the checkpoint holds it. */
export interface PositionTable {
  /** Name of the parameter, or of its float32 form. */
  readonly value: string;
  readonly rows: number;
  readonly width: number;
  /** Its last rows that are added to patches; undefined if all are added to all tokens. */
  readonly patches?: number;
}

/**
 * The table of positions that is added to the tokens before the first attention: the one parameter
 * of many rows that what is added is made of. Undefined without one: rotary and relative positions
 * are in the attention, others in convolutions.
 */
export const positionTable = perGraph((graph: Graph): PositionTable | undefined => {
  const [first] = graph.probes;
  if (!first) return undefined;
  const ofImage = valuesOfImage(graph);
  const before = madeOf(graph, [first.value]);
  for (const node of graph.nodes) {
    if (node.op !== 'Add' || !before.has(at(node.outputs, 0))) continue;
    const added = node.inputs.find((input) => !ofImage.has(input));
    const sum = valueOf(graph, at(node.outputs, 0)).shape;
    if (
      added === undefined ||
      product(sum.slice(0, -1)) !== product(valueOf(graph, added).shape.slice(0, -1))
    )
      continue;
    const table = tableBehind(graph, added, at(sum, sum.length - 1));
    if (!table) continue;
    const patches = slicedRows(graph, added, table.value);
    return { ...table, ...(patches !== undefined && { patches }) };
  }
  return undefined;
});

/** Rows of the end of a table that a value is made of, if it is cut apart. */
function slicedRows(graph: Graph, value: string, table: string): number | undefined {
  const before = madeOf(graph, [value]);
  const cut = graph.nodes.find(
    ({ op, inputs, outputs }) => op === 'Slice' && inputs[0] === table && before.has(at(outputs, 0)),
  );
  return cut && product(valueOf(graph, at(cut.outputs, 0)).shape.slice(0, -1));
}

/** The one parameter of several rows of this width that a value is made of. */
function tableBehind(graph: Graph, value: string, width: number): Omit<PositionTable, 'patches'> | undefined {
  const tables = [...madeOf(graph, [value])].flatMap((name) => {
    const initializer = graph.initializers.get(name);
    const { shape = [], dtype, data } = initializer ?? {};
    const rows = product(shape.slice(0, -1));
    const isTable = data?.kind === 'parameter' && shape.length > 1 && rows > 1 && shape.at(-1) === width;
    return isTable && dtype !== 'I64' ? [{ name, rows }] : [];
  });
  const [table, ...more] = tables;
  if (!table || more.length > 0) return undefined;
  const isFloat = valueOf(graph, table.name).dtype === 'F32';
  const cast = graph.nodes.find(({ op, inputs }) => op === 'Cast' && inputs[0] === table.name);
  return { value: isFloat ? table.name : at(cast?.outputs ?? [], 0), rows: table.rows, width };
}
