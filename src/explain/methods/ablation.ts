import { at, increase, largest } from '../../domain/lists';
import { outputName, type Graph, type GraphOutput, type ValueInfo } from '../../graph/graph';
import { gradientNames, withGradients } from '../../graph/rewrite/backward';
import { cutAt, withReplaced } from '../../graph/rewrite/splice';
import type { StreamBlock } from '../../graph/find/residualStream';
import type { HeadOutputs } from '../../graph/find/headOutputs';
import { runOn } from '../behind';
import { finalNorm, linearised } from '../attribution';
import { withGradientBy } from '../derivedGraphs';
import { onlyOutputs, valuesIn, type Explained, type Named, type Values } from '../explained';
import type { Explanation, Method } from '../method';
import { streamOf, streamValues, whyNoStream } from '../stream';
import { float32, perGradient } from './common';

type HeadBlock = StreamBlock & { readonly heads: HeadOutputs };

const hasHeads = (block: StreamBlock): block is HeadBlock => block.heads !== undefined;

/** Blocks of the stream, which all have heads' outputs. */
const blocksOf = (explained: Explained): readonly HeadBlock[] => streamOf(explained).blocks.filter(hasHeads);

function whyNoHeads(explained: Explained): string | undefined {
  const reason = whyNoStream(explained);
  if (reason !== undefined) return reason;
  return blocksOf(explained).length === streamOf(explained).blocks.length
    ? undefined
    : 'the outputs of its heads do not stand side by side in front of a linear layer';
}

const names = {
  keep: (block: number): string => `ablation.${block}.keep`,
  mean: (block: number): string => `ablation.${block}.mean`,
};

/**
 * The graph in which the outputs of heads are multiplied by inputs `keep` `[1, width]`, and their
 * means over the tokens by inputs `mean` are added.
 */
function withFactors(graph: Graph, blocks: readonly HeadBlock[]): Graph {
  return withReplaced(graph, 'ablation', (b, value) => {
    const made = new Map<string, ValueInfo>();
    blocks.forEach(({ heads }, index) => {
      const read = value(heads.read);
      const width = heads.columns.length;
      const mean = b.mean(read, read.shape.length - 2);
      const kept = b.add('Mul', [read, b.input(names.keep(index), [1, width])]);
      made.set(read.name, b.add('Add', [kept, b.add('Mul', [mean, b.input(names.mean(index), [1, width])])]));
    });
    return made;
  });
}

/** Factors of one head of one block, of none of the others. */
function factorsWithout(
  blocks: readonly HeadBlock[],
  without: number,
  head: number,
  by: 'zero' | 'mean',
): Named {
  const entries = blocks.flatMap(({ heads: { columns } }, index) => {
    const isCut = columns.map((column) => (index === without && column.head === head ? 1 : 0));
    const shape = [1, columns.length];
    return [
      [
        names.keep(index),
        float32(
          shape,
          isCut.map((cut) => 1 - cut),
        ),
      ] as const,
      [
        names.mean(index),
        float32(
          shape,
          isCut.map((cut) => (by === 'mean' ? cut : 0)),
        ),
      ] as const,
    ];
  });
  return Object.fromEntries(entries);
}

const kinds = ['zero', 'mean'] as const;

const ablation: Method = {
  name: 'ablation',
  gives: ['ablation.zero', 'ablation.mean'],
  title: 'Ablation of heads',
  text: 'How the value changes if one head puts out nothing, or its mean over the tokens of this image. Published mean ablation averages over a data set, which is not needed here.',
  formula: 's(head replaced) − s',
  source: 'Elhage et al. 2021; TransformerLens, hook_z',
  whyNot: whyNoHeads,
  forwards: (explained) =>
    kinds.length * blocksOf(explained).reduce((sum, { probe }) => sum + probe.heads, 0),
  async compute(explained): Promise<Explanation> {
    const { graph, output, question } = explained;
    const blocks = blocksOf(explained);
    const heads = largest(blocks.map(({ probe }) => probe.heads));
    const factored = onlyOutputs(withFactors(graph, blocks), [output]);
    const whole = await explained.valueAt(question.pixels);
    const count = kinds.length * blocks.length * heads;
    const tensors: Record<string, Values> = {};
    let done = 0;
    for (const by of kinds) {
      const changes = new Float32Array(blocks.length * heads);
      for (const [index, { probe }] of blocks.entries())
        for (let head = 0; head < probe.heads; head++) {
          question.progress?.(`ablation of heads, ${++done} of ${count}`);
          const given = factorsWithout(blocks, index, head, by);
          const found = await explained.run('ablation of heads', factored, question.pixels, given);
          changes[index * heads + head] = at(valuesIn(found, output.name).data, question.target) - whole;
        }
      tensors[`ablation.${by}`] = { shape: [blocks.length, heads], data: changes };
    }
    return { tensors };
  },
};

/** Why the value is not linear in the heads' outputs, the final norm's own scale kept. */
function whyNoAttribution(explained: Explained): string | undefined {
  const reason = whyNoHeads(explained);
  if (reason !== undefined) return reason;
  if (!blocksOf(explained).every(({ isLinear }) => isLinear))
    return 'what attention adds is not of its heads and a bias alone: a norm stands behind the projection';
  const norm = finalNorm(explained);
  return typeof norm === 'string' ? norm : undefined;
}

/** What the final norm makes, by which the value is derived. */
function normed(explained: Explained): string {
  const norm = finalNorm(explained);
  if (typeof norm === 'string') throw new Error(norm);
  return outputName(norm);
}

/** Share of the value that the sum of all parts may miss: float32 adds up some thousand numbers. */
const mostMissed = 1e-3;

/** Contribution of each head of a block by how the value changes with what the projection reads. */
async function headParts(explained: Explained, block: HeadBlock, gradient: Values): Promise<Float64Array> {
  const { heads, added, probe } = block;
  const derived = withGradients(explained.graph, { of: [added], by: [heads.read] });
  const isWanted = ({ name }: GraphOutput): boolean => name === gradientNames.gradient(0);
  const graph = cutAt(onlyOutputs(derived, derived.outputs.filter(isWanted)), [heads.read]);
  const read = at(await explained.values([heads.read]), 0);
  const given = { [gradientNames.seed(0)]: gradient, [heads.read]: read };
  const made = valuesIn(
    await runOn(explained, `projection ${heads.read}`, graph, given),
    gradientNames.gradient(0),
  );
  const parts = new Float64Array(probe.heads);
  const width = heads.columns.length;
  made.data.forEach((slope, place) =>
    increase(parts, at(heads.columns, place % width).head, slope * (read.data[place] ?? 0)),
  );
  return parts;
}

const inner = (left: Values, right: (place: number) => number): number =>
  left.data.reduce((sum, value, place) => sum + value * right(place), 0);

const attribution: Method = {
  name: 'logit_attribution',
  gives: ['logit_attribution.heads', 'logit_attribution.biases', 'logit_attribution.mlps'],
  title: 'Direct logit attribution',
  text: 'What each head and each MLP adds to the value by itself, with the final norm’s own mean and deviation of this image. All parts add up to the value. A head may also act through the blocks behind it, which ablation shows.',
  formula: 'Σ (u − mean u) / σ · γ · W[class] of each part u of the stream',
  source: 'Elhage et al. 2021; TransformerLens, apply_ln_to_stack',
  whyNot: whyNoAttribution,
  forwards: (explained) => perGradient + 0.1 * blocksOf(explained).length,
  derived: (explained) => [withGradientBy(explained.graph, normed(explained))],
  async compute(explained): Promise<Explanation> {
    const blocks = blocksOf(explained);
    const { slope, constant } = await linearised(explained);
    const streams = await streamValues(explained);
    const added = await explained.values(blocks.map((block) => block.added));
    const count = largest(blocks.map(({ probe }) => probe.heads));
    const heads = new Float32Array(blocks.length * count);
    const [biases, mlps] = [new Float32Array(blocks.length), new Float32Array(blocks.length)];
    let sum = constant + inner(slope, (place) => streams[0]?.data[place] ?? 0);
    for (const [index, block] of blocks.entries()) {
      const own = await headParts(explained, block, { ...slope, shape: at(added, index).shape });
      heads.set(own, index * count);
      const [before, after, branch] = [at(streams, index), at(streams, index + 1), at(added, index)];
      const attended = inner(slope, (place) => branch.data[place] ?? 0);
      biases[index] = attended - own.reduce((total, part) => total + part, 0);
      const step = inner(slope, (place) => (after.data[place] ?? 0) - (before.data[place] ?? 0));
      mlps[index] = step - attended;
      sum += step;
    }
    const value = await explained.valueAt(explained.question.pixels);
    if (Math.abs(sum - value) > mostMissed * Math.max(1, Math.abs(value)))
      return {
        tensors: {},
        reason: `the head behind the final norm is not linear: the parts add up to ${sum.toPrecision(5)}, the value is ${value.toPrecision(5)}`,
      };
    return {
      tensors: {
        'logit_attribution.heads': { shape: [blocks.length, count], data: heads },
        'logit_attribution.biases': { shape: [blocks.length], data: biases },
        'logit_attribution.mlps': { shape: [blocks.length], data: mlps },
      },
      figures: {
        'logit_attribution.embedding': inner(slope, (place) => streams[0]?.data[place] ?? 0),
        'logit_attribution.norm_and_head_bias': constant,
        'logit_attribution.sum': sum,
      },
    };
  },
};

/** What single heads do to the answer. */
export const ofParts: readonly Method[] = [ablation, attribution];
