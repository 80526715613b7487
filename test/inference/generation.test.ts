// Texts that whole task models write, step by step over kept keys and values, as the reference
// implementation wrote them in float64.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as runtime from 'onnxruntime-node';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { at } from '../../src/domain/lists';
import type { Graph } from '../../src/graph/graph';
import { lengthsOf, runAllParts } from '../../src/inference/allParts';
import { generateTexts } from '../../src/inference/generating';
import { LoadedModel } from '../../src/inference/loadedModel';
import type { GeneratedTexts, TensorData, TextSoFar } from '../../src/inference/remoteApi';
import { fileStates } from '../../src/models/files';
import type { Model } from '../../src/models/model';
import { graphsOfText, type Generation } from '../../src/tasks/task';
import { settleGeneration } from '../../src/text/generation/settings';
import type { Json } from '../../src/text/json';
import { casesFolder, checkpointPath, readCases, type Case, type CaseAttention } from '../support/cases';
import { openAt } from '../support/open';
import { temporaryFolder, testInference } from './support';

interface GeneratedCase extends Case {
  readonly generation?: readonly {
    readonly name: string;
    readonly arguments: Json;
    readonly ids: string;
    readonly logits?: string;
    readonly score?: readonly number[];
    readonly attention?: readonly CaseAttention[];
  }[];
}

type Tensors = Readonly<Record<string, TensorData>>;

async function readReference({ folder }: Case): Promise<ReadonlyMap<string, TensorData>> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const entries = selected.tensors.map(async (tensor) => {
    const data = toFloat32(await readTensor(tensor), tensor.dtype);
    return [tensor.name, { dtype: 'F32', shape: tensor.shape, data }] as const;
  });
  return new Map(await Promise.all(entries));
}

const json = (folder: string, name: string): Json | undefined =>
  existsSync(join(folder, name)) ? (JSON.parse(readFileSync(join(folder, name), 'utf8')) as Json) : undefined;

const budget = { whole: 2 ** 28, kept: 0 };

/** Runs `task` with graphs of a model that are loaded, and lets them go. */
async function withLoaded<T>(
  { checkpoint }: Model,
  graphs: readonly Graph[],
  task: (loaded: readonly LoadedModel[]) => Promise<T>,
): Promise<T> {
  const files = await fileStates(checkpoint.files);
  const { tensors } = checkpoint.selected;
  const loaded: LoadedModel[] = [];
  try {
    for (const [index, graph] of graphs.entries()) {
      const request = { key: String(index), graph, tensors, files, threads: 1, attention: budget };
      loaded.push(await LoadedModel.load(runtime, request, () => undefined));
    }
    return await task(loaded);
  } finally {
    for (const each of loaded) await each.release();
  }
}

/** Every output of every part on the case's inputs. */
const outputsOf = (model: Model, inputs: Tensors): Promise<Tensors> =>
  runAllParts(model, inputs, { batch: 1 }, (graph, feeds) =>
    withLoaded(model, [graph], ([loaded]) => (loaded as LoadedModel).runAll('cpu', feeds)),
  );

/** Writes a text with the decoder of a case's model, at most so many tokens of it. */
async function write(
  model: Model,
  inputs: Tensors,
  generation: Generation,
  most = Infinity,
): Promise<GeneratedTexts> {
  const abort = new AbortController();
  const progress = ({ ids }: TextSoFar): void => {
    if (ids.length >= most) abort.abort();
  };
  const outputs = await outputsOf(model, inputs);
  const step = { part: 'decoder', inputs: {}, outputs: [], lengths: lengthsOf(inputs) } as const;
  const graphs = graphsOfText(model, step, generation);
  const given = graphs.start.inputs.flatMap(({ name }) => {
    const found = outputs[name];
    return found ? [[name, found] as const] : [];
  });
  return withLoaded(model, [graphs.start, graphs.step], ([start, each]) =>
    generateTexts(
      start as LoadedModel,
      each as LoadedModel,
      { ...generation, inputs: Object.fromEntries(given), provider: 'cpu', maps: true, logits: true },
      { signal: abort.signal, progress },
    ),
  );
}

const largestDifference = (found: ArrayLike<number | bigint>, expected: ArrayLike<number | bigint>): number =>
  Array.from(expected, (value, index) => Math.abs(Number(value) - Number(found[index]))).reduce(
    (most, each) => Math.max(most, each),
    0,
  );

/** Ids and masks as integers, which a reference may keep as floats. */
const asGiven = (name: string, { shape, data }: TensorData): TensorData =>
  /_ids$|_mask$/.test(name)
    ? { dtype: 'I64', shape, data: BigInt64Array.from(data as Float32Array, (value) => BigInt(value)) }
    : { dtype: 'F32', shape, data };

const hasDecoder = (model: Model): boolean => model.parts.some(({ name }) => name === 'decoder');

describe(`texts of the cases in ${casesFolder}`, () => {
  for (const golden of readCases() as readonly GeneratedCase[])
    for (const { name, arguments: given, ids, logits, score, attention = [] } of golden.generation ?? [])
      it(`${golden.id}: ${name}`, async function () {
        const model = await openAt(checkpointPath(golden), {
          assume: golden.assume,
          imageSize: golden.image_size,
        });
        assert.ok(hasDecoder(model), 'its decoder is not written');
        const reference = await readReference(golden);
        const inputs = Object.fromEntries(
          Object.keys(golden.inputs).flatMap((input) => {
            const found = reference.get(input);
            return found ? [[input, asGiven(input, found)] as const] : [];
          }),
        );
        const idsNamed = (tensor: string): readonly number[] =>
          [...(reference.get(tensor)?.data ?? [])].map(Number);
        const wanted = idsNamed(ids);
        // A row of logits for each token that was chosen; beams begin as the first search does.
        const greedy = logits === undefined ? at(golden.generation ?? [], 0) : { ids, logits };
        const steps = reference.get(greedy.logits ?? '')?.shape[0] ?? 0;
        const prompt = idsNamed(greedy.ids).slice(0, -steps);
        const { settings } = settleGeneration({
          given,
          ...{ file: json(golden.folder, 'generation_config.json') },
          ...{ config: json(golden.folder, 'config.json') },
          promptLength: prompt.length,
        });
        const found = await write(model, inputs, { name, prompt, settings });
        const best = at(found.sequences, 0);
        assert.deepEqual(best.ids, wanted);
        // The score sums 32-bit floats over at most a dozen tokens; the reference is float64.
        if (score) assert.ok(Math.abs((best.score ?? NaN) - at(score, 0)) < 1e-5, `score ${best.score}`);
        if (logits !== undefined) {
          const expected = reference.get(logits);
          assert(expected && found.logits);
          assert.equal(found.logits.length, expected.shape[0]);
          found.logits.forEach((row, step) =>
            assert.ok(
              largestDifference(row, expected.data.slice(step * row.length, (step + 1) * row.length)) <=
                golden.tolerance.output,
              `logits of step ${step}`,
            ),
          );
        }
        const { start } = graphsOfText(
          model,
          { part: 'decoder', inputs: {}, outputs: [], lengths: lengthsOf(inputs) },
          { name, prompt, settings },
        );
        let held = 0;
        for (const { tensor, layer } of attention) {
          const index = start.probes.findIndex((probe) => tensor === `generation.${name}.${probe.layer}`);
          // Maps of an encoder that is no part of the decoder stand among those of the whole pass.
          if (index < 0) continue;
          const [map, expected] = [found.maps?.[index], reference.get(tensor)];
          assert(map && expected, layer);
          assert.deepEqual(map.shape, expected.shape, layer);
          assert.ok(largestDifference(map.data, expected.data) <= golden.tolerance.attention, layer);
          held++;
        }
        assert.equal(held, attention.length > 0 ? start.probes.length : 0, 'maps of the decoder');
      });
});

describe('what a captioner answers', () => {
  const inference = testInference();
  after(() => inference.dispose());
  const goldens = readCases('test/fixtures/cases') as readonly GeneratedCase[];
  const goldenOf = (id: string): GeneratedCase => goldens.find((each) => each.id === id) ?? assert.fail();

  for (const id of ['blip-caption', 'git-caption', 'trocr-caption', 'vit-gpt2-caption', 'blip-vqa'])
    it(`${id}: its words, and for each what it looked at`, async () => {
      const golden = goldenOf(id);
      const [greedy] = golden.generation ?? [];
      assert(greedy?.attention);
      const reference = await readReference(golden);
      const { given, pictures } = golden as unknown as {
        readonly given?: Readonly<Record<string, unknown>>;
        readonly pictures: readonly { readonly file: string }[];
      };
      const texts: string[] = [];
      const run = await inference.classify({
        checkpoint: checkpointPath(golden),
        image: join(golden.folder, at(pictures, 0).file),
        options: { given: { question: given?.['question'], generation: [greedy] } },
        attention: true,
        onText: (text) => texts.push(text),
      });
      const { answer } = run;
      assert(answer.kind === 'text');
      const [search] = answer.searches;
      const [best] = search?.texts ?? [];
      assert(search && best);
      assert.deepEqual(best.ids, [...(reference.get(greedy.ids)?.data ?? [])].map(Number));
      assert.equal(best.text, at((greedy as unknown as { readonly text: readonly string[] }).text, 0));
      // A report for each token, the last of the whole text without what the prompt said.
      assert.equal(texts.length, best.tokens.length);
      // The third word is chosen by the row of the token before it.
      const index = search.prompt + 1;
      const { rows } = await inference.attention(run.run, { kind: 'token', index }, 'raw');
      assert.equal(rows.length, run.probes.length);
      for (const { tensor, layer, kind } of greedy.attention) {
        const place = run.layers.lastIndexOf(layer);
        const probe = run.probes[place];
        const map = reference.get(tensor);
        // A question's own words are no words of the reply.
        if (!probe || !map || probe.queries.sequence === undefined || /text_encoder/.test(layer)) continue;
        const [heads = 1, queries = 1, keys = 1] = map.shape;
        const before = queries - probe.queries.sequence;
        const expected = Array.from({ length: heads }, (_, head) => {
          const begin = (head * queries + before + index) * keys;
          return [...(map.data as Float32Array).subarray(begin, begin + keys)];
        }).flat();
        assert.ok(
          largestDifference(at(rows, place), expected) <= golden.tolerance.attention,
          `${layer} ${kind}`,
        );
      }
      const images = run.probes.filter(({ queries }) => queries.sequence === undefined);
      assert.ok(images.length > 0 && images.length < run.probes.length);
    });

  it('blip-vqa: without a question says what is needed, and writes nothing', async () => {
    const golden = goldenOf('blip-vqa');
    const { answer } = await inference.classify({
      checkpoint: checkpointPath(golden),
      image: join(golden.folder, 'pictures/0-97x61.png'),
    });
    assert(answer.kind === 'text');
    assert.deepEqual(answer.searches, []);
    assert.match(answer.missing ?? '', /no question is asked/);
  });

  it('token ids where the tokenizer is missing, with the file that is needed', async () => {
    const golden = goldenOf('vit-gpt2-caption');
    const folder = temporaryFolder();
    for (const file of [
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'preprocessor_config.json',
    ])
      copyFileSync(join(golden.folder, file), join(folder, file));
    const run = await inference.classify({
      checkpoint: join(folder, 'model.safetensors'),
      image: join(golden.folder, 'pictures/0-97x61.png'),
    });
    assert(run.answer.kind === 'text');
    const [best] = run.answer.searches[0]?.texts ?? [];
    assert.equal(best?.text, best?.ids.join(' '));
    assert.match(run.warnings.join(), /tokenizer\.json|vocab\.json/);
  });

  it('ends with what there is when it is stopped', async () => {
    const golden = goldenOf('vit-gpt2-caption');
    const model = await openAt(checkpointPath(golden), { imageSize: golden.image_size });
    const reference = await readReference(golden);
    const inputs = Object.fromEntries(
      Object.keys(golden.inputs).map((input) => [
        input,
        asGiven(input, reference.get(input) ?? assert.fail(input)),
      ]),
    );
    const { settings } = settleGeneration({ given: { max_new_tokens: 10 }, promptLength: 1 });
    const { sequences, steps } = await write(model, inputs, { name: 'text', prompt: [456], settings }, 3);
    assert.equal(steps, 3);
    assert.equal(at(sequences, 0).ending, 'stopped');
    assert.equal(at(sequences, 0).tokens.length, 3);
  });
});
