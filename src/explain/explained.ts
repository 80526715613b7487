import { elementCount } from '../checkpoint/tensors';
import { at } from '../domain/lists';
import type { Probe } from '../domain/probes';
import type { Size } from '../domain/size';
import { valueOf, type Graph, type GraphOutput } from '../graph/graph';
import { gradientNames } from '../graph/rewrite/backward';
import { probabilities } from '../labels/labels';
import { tapNames } from '../graph/rewrite/tapNames';
import { withAllGradients, withGradientBy, withGradientsBy, withPixelGradient } from './derivedGraphs';
import { explainedOutput, onlyOutputs } from './explainedOutput';

export { onlyOutputs };

/** Numbers of a tensor, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Named = Readonly<Record<string, Values>>;

/** Runs a graph made of the model's own and returns its outputs; `name` tells such graphs apart. */
export type RunGraph = (name: string, graph: Graph, inputs: Named) => Promise<Named>;

/** What an explanation is asked about: one value of a model's output for one image. */
export interface Question {
  /** The graph that reads the image. */
  readonly graph: Graph;
  /** `[1, channels, height, width]`, as the model sees it. */
  readonly pixels: Values;
  /** Which value of the output is explained. */
  readonly target: number;
  /** A second one, which the first is held against. */
  readonly contrast?: number;
  /** Attention over the tokens of texts that are given, if a text's score is explained. */
  readonly words?: readonly Probe[];
  /** The object query whose scores are explained, of so many. */
  readonly query?: { readonly index: number; readonly count: number };
  readonly run: RunGraph;
  readonly signal?: AbortSignal;
  readonly progress?: (message: string) => void;
}

/** A probe and its map without the batch: `[heads, q, k]`, `[windows, heads, n, n]`. */
export interface MapOf {
  readonly probe: Probe;
  readonly map: Values;
}

/** A map with the derivative of the explained value by each of its entries. */
export interface DerivedMap extends MapOf {
  readonly gradient: Values;
}

/** Derivatives of the explained value. */
export interface Derived {
  /** The output itself. */
  readonly output: Values;
  /** By the pixels, of their shape. */
  readonly pixels: Values;
  readonly maps: readonly DerivedMap[];
}

/** What several methods need, by what it is called. */
export type Found = Map<string, Promise<unknown>>;

/**
 * What methods ask of a model and an image. What several of them need is computed once, when it is
 * first asked for.
 */
export class Explained {
  readonly output: GraphOutput;
  /** Values of the output. */
  readonly classes: number;
  readonly imageSize: Size;

  /** @param found what was computed of the same question before, and what will be */
  constructor(
    readonly question: Question,
    private readonly found: Found = new Map(),
  ) {
    const { graph, pixels, target, contrast } = question;
    this.output = explainedOutput(graph);
    this.classes = at(valueOf(graph, this.output.value).shape, 1);
    const [, , height = 1, width = 1] = pixels.shape;
    this.imageSize = [height, width];
    for (const index of [target, contrast ?? target])
      if (!(index >= 0 && index < this.classes))
        throw new Error(`class ${index}: a number from 0 to ${this.classes - 1} is needed`);
  }

  get graph(): Graph {
    return this.question.graph;
  }

  get probes(): readonly Probe[] {
    return this.graph.probes;
  }

  /** Whether the output is scores of classes, so that it has probabilities. */
  get hasClasses(): boolean {
    return this.output.means === 'logits';
  }

  /** Name of the input that the image goes into. */
  private get input(): string {
    return at(this.graph.inputs, 0).name;
  }

  /** Runs the model's graph, or one made of it, on pixels of the image's shape. */
  async run(name: string, graph: Graph, pixels: Values, more: Named = {}): Promise<Named> {
    this.question.signal?.throwIfAborted();
    return this.question.run(name, graph, { [this.input]: pixels, ...more });
  }

  /** The output for other pixels. */
  async outputOf(pixels: Values): Promise<Float32Array> {
    const graph = this.once('plain', async () => onlyOutputs(this.graph, [this.output]));
    const found = await this.run('plain', await graph, pixels);
    return valuesIn(found, this.output.name).data;
  }

  /** The explained value for other pixels. */
  async valueAt(pixels: Values, index = this.question.target): Promise<number> {
    return at(await this.outputOf(pixels), index);
  }

  /** The value that curves plot: the class's probability, or the value itself without classes. */
  async scoreAt(pixels: Values): Promise<number> {
    const output = await this.outputOf(pixels);
    const { target } = this.question;
    return at(this.hasClasses ? probabilities(output, this.output.activation ?? 'softmax') : output, target);
  }

  /** All maps, without what needs derivatives. */
  maps(): Promise<readonly MapOf[]> {
    return this.once('maps', async () => {
      const values = await this.values(this.probes.map(({ value }) => value));
      return this.probes.map((probe, index) => ({ probe, map: withoutBatch(probe, at(values, index)) }));
    });
  }

  /** Derivatives of the explained value by the pixels and all maps. */
  derived(): Promise<Derived> {
    return this.once('derived', () => this.derivedOf(this.seed(this.question.target)));
  }

  /** Gives maps over the tokens of texts, and the derivatives of the explained output by them. */
  wordsGraph(): Graph {
    return withGradientsBy(
      this.graph,
      (this.question.words ?? []).map(({ value }) => value),
    );
  }

  /**
   * Maps over the tokens of the explained text and derivatives by them, without the other texts.
   */
  derivedWords(): Promise<readonly DerivedMap[]> {
    return this.once('derived words', async () => {
      const { words = [], target } = this.question;
      const given = { [gradientNames.seed(0)]: this.seed(target) };
      const found = await this.run('words', this.wordsGraph(), this.question.pixels, given);
      const ofText = (name: string): Values => textOf(valuesIn(found, name), target);
      return words.map((probe, index) => ({
        probe,
        map: ofText(tapNames.map(index)),
        gradient: ofText(gradientNames.gradient(index)),
      }));
    });
  }

  /** Derivatives by the pixels of the difference of the two values. */
  contrasted(contrast: number): Promise<Values> {
    return this.once(`contrast ${contrast}`, async () => {
      const seed = this.seed(this.question.target);
      seed.data[contrast] = at(seed.data, contrast) - 1;
      return this.pixelGradient(this.question.pixels, seed);
    });
  }

  /** The derivative of the explained value by other pixels. */
  async gradientAt(pixels: Values): Promise<Values> {
    return this.pixelGradient(pixels, this.seed(this.question.target));
  }

  private async pixelGradient(pixels: Values, seed: Values): Promise<Values> {
    const graph = withPixelGradient(this.graph);
    const found = await this.run('pixel gradient', graph, pixels, { [gradientNames.seed(0)]: seed });
    return valuesIn(found, gradientNames.gradient(0));
  }

  /** The derivative by any value of the graph, and the value. */
  async derivedBy(value: string): Promise<{ readonly value: Values; readonly gradient: Values }> {
    return this.once(`by ${value}`, async () => {
      const graph = withGradientBy(this.graph, value);
      const seed = { [gradientNames.seed(0)]: this.seed(this.question.target) };
      const found = await this.run(`by ${value}`, graph, this.question.pixels, seed);
      return { value: valuesIn(found, 'value'), gradient: valuesIn(found, gradientNames.gradient(0)) };
    });
  }

  /** Values of the graph by their names. */
  async values(names: readonly string[], pixels = this.question.pixels): Promise<readonly Values[]> {
    const outputs = names.map((value, index): GraphOutput => ({
      name: `value.${index}`,
      value,
      means: 'state',
    }));
    const found = await this.run(`values ${names.join(' ')}`, onlyOutputs(this.graph, outputs), pixels);
    return outputs.map(({ name }) => valuesIn(found, name));
  }

  /** Computes once; a failure is forgotten, so that it is met again. */
  once<T>(key: string, compute: () => Promise<T>): Promise<T> {
    const known = this.found.get(key) as Promise<T> | undefined;
    if (known) return known;
    const made = compute();
    this.found.set(key, made);
    made.catch(() => this.found.delete(key));
    return made;
  }

  private seed(target: number): Values {
    const data = new Float32Array(this.classes);
    data[target] = 1;
    return { shape: [1, this.classes], data };
  }

  /** The same derivatives by a graph made of the one that gives them, with more inputs. */
  derivedWith(name: string, rewrite: (graph: Graph) => Graph, more: Named): Promise<Derived> {
    return this.derivedOf(this.seed(this.question.target), name, rewrite, more);
  }

  private async derivedOf(
    seed: Values,
    name = 'gradients',
    rewrite: (graph: Graph) => Graph = (graph) => graph,
    more: Named = {},
  ): Promise<Derived> {
    const graph = rewrite(withAllGradients(this.graph));
    const given = { ...more, [gradientNames.seed(0)]: seed };
    const found = await this.run(name, graph, this.question.pixels, given);
    return {
      output: valuesIn(found, this.output.name),
      pixels: valuesIn(found, gradientNames.gradient(0)),
      maps: this.probes.map((probe, index) => ({
        probe,
        map: withoutBatch(probe, valuesIn(found, tapNames.map(index))),
        gradient: withoutBatch(probe, valuesIn(found, gradientNames.gradient(index + 1))),
      })),
    };
  }
}

export function valuesIn(found: Named, name: string): Values {
  const values = found[name];
  if (!values) throw new Error(`the model gave no ${name}`);
  return values;
}

/** The map of one text of several, `[heads, queries, keys]`. */
function textOf({ shape, data }: Values, text: number): Values {
  const own = shape.slice(1);
  const size = elementCount(own);
  return { shape: own, data: data.slice(text * size, (text + 1) * size) };
}

/** A map of one image as `[heads, queries, keys]`; of windows as it is. */
const withoutBatch = ({ window }: Probe, { shape, data }: Values): Values => ({
  shape: !window && shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape,
  data,
});

export const filled = (shape: readonly number[], value: number): Values => ({
  shape,
  data: new Float32Array(elementCount(shape)).fill(value),
});
