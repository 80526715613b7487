// Relevance over several sets of tokens, as the rules of its paper give it in float64.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { at } from '../../src/domain/lists';
import type { TensorData } from '../../src/inference/remoteApi';
import type { ExplainedImage } from '../../src/useCases/explain';
import type { Subject } from '../../src/useCases/subject';
import { casesFolder, checkpointPath, readCases } from '../support/cases';
import { testInference } from './support';

const [detector, towers] = ['detr-transformers-safetensors', 'clip-transformers-safetensors'] as const;

/** Largest difference in parts of the largest value: float32 against float64, as for relevance. */
const tolerance = 1e-4;

const reference = <T>(id: string): T =>
  JSON.parse(readFileSync(join(casesFolder, '../explain', id, 'bimodal.json'), 'utf8')) as T;

async function pixelsOf(id: string): Promise<TensorData> {
  const { selected } = await openCheckpoint(join(casesFolder, id, 'reference.safetensors'));
  const tensor = selected.tensors.find(({ name }) => name === 'pixel_values') ?? assert.fail(id);
  return { dtype: 'F32', shape: tensor.shape, data: toFloat32(await readTensor(tensor), tensor.dtype) };
}

function tensorIn({ outcomes }: ExplainedImage, method: string, name: string): Float32Array {
  const outcome = outcomes.find((each) => each.method.name === method) ?? assert.fail(method);
  if ('reason' in outcome) return assert.fail(outcome.reason);
  return (outcome.explanation.tensors[name] ?? assert.fail(name)).data;
}

function near(found: Float32Array, wanted: readonly number[], name: string): void {
  assert.equal(found.length, wanted.length, name);
  const most = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, place) =>
    assert.ok(
      Math.abs(value - at(found, place)) <= tolerance * most,
      `${name}[${place}]: ${at(found, place)} for ${value}`,
    ),
  );
}

describe('relevance over several sets of tokens', function () {
  this.timeout(240_000);
  const runner = testInference();
  after(() => runner.dispose());

  const ask = async (id: string, subject: Subject, methods: readonly string[], target?: string) => {
    const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
    return runner.explain({
      checkpoint: checkpointPath(golden),
      model: { assume: golden.assume },
      pixels: await pixelsOf(id),
      subject,
      methods,
      ...(target !== undefined && { target }),
    });
  };

  it('of a detector’s query, for the image and the other queries', async () => {
    const { best, cases } = reference<{
      readonly best: number;
      readonly cases: readonly {
        readonly query: number;
        readonly class: number;
        readonly image: readonly number[];
        readonly queries: readonly number[];
      }[];
    }>(detector);
    assert.equal(cases.length, 2);
    for (const { query, class: target, image, queries } of cases) {
      // The surest query is taken if none is named.
      const subject = query === best ? {} : { query };
      const found = await ask(detector, subject, ['bimodal'], String(target));
      assert.equal(found.output, `query.${query}`);
      near(tensorIn(found, 'bimodal', 'bimodal.image'), image, `query ${query}`);
      near(tensorIn(found, 'bimodal', 'bimodal.queries'), queries, `queries of ${query}`);
    }
  });

  it('of an image and a text, for the patches and the words', async () => {
    const { cases } = reference<{
      readonly cases: readonly {
        readonly text: number;
        readonly image: readonly number[];
        readonly words: readonly number[];
      }[];
    }>(towers);
    const labels = ['a photo of a cat', 'a photo of two dogs', 'the red bird sits in the snow'];
    assert.equal(cases.length, labels.length);
    for (const { text, image, words } of cases) {
      const found = await ask(towers, { given: { labels } }, ['bimodal', 'relevance'], labels[text]);
      assert.equal(found.target.index, text);
      near(tensorIn(found, 'bimodal', 'bimodal.image'), image, `image for text ${text}`);
      near(tensorIn(found, 'relevance', 'relevance.picture'), image, `relevance for text ${text}`);
      near(
        tensorIn(found, 'bimodal', 'bimodal.text').subarray(0, words.length),
        words,
        `words of text ${text}`,
      );
    }
  });

  it('other methods explain a query and a text, too', async () => {
    for (const [id, subject] of [
      [detector, { query: 2 }],
      [towers, { given: { labels: ['a cat', 'a dog'] } }],
    ] as const) {
      const { outcomes } = await ask(id, subject, ['gradient', 'occlusion', 'deletion']);
      for (const outcome of outcomes)
        assert.ok('explanation' in outcome, 'reason' in outcome ? outcome.reason : '');
    }
  });

  it('says what does not fit the model', async () => {
    await assert.rejects(ask(detector, { query: 10 }, ['bimodal']), /query 10: a number from 0 to 9/);
    await assert.rejects(ask(detector, { given: { labels: ['a cat'] } }, ['bimodal']), /compares no image/);
    await assert.rejects(ask('vit-timm-safetensors', { query: 1 }, ['bimodal']), /finds no objects/);
    const { outcomes } = await ask('vit-timm-safetensors', {}, ['bimodal']);
    assert.match(
      'reason' in at(outcomes, 0) ? (at(outcomes, 0) as { reason: string }).reason : '',
      /one set of tokens/,
    );
    const sampled = await ask('deformable-detr-detect', {}, ['bimodal']);
    assert.match((at(sampled.outcomes, 0) as { reason: string }).reason, /decoder|sampled/);
  });
});
