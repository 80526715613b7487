// Explanations as their references compute them in float64, from the published implementations.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { at } from '../../src/domain/lists';
import { comparisons, referenceModels } from '../../src/explain/checked';
import type { TensorData } from '../../src/inference/remoteApi';
import type { Values } from '../../src/explain/explained';
import type { ExplainedImage } from '../../src/useCases/explain';
import { casesFolder, checkpointPath, readCases } from '../support/cases';
import { openAt } from '../support/open';
import { testInference } from './support';

const folder = join(casesFolder, '../explain');

interface Reference {
  readonly target: number;
  readonly contrast: number;
  readonly cam: { readonly layer: string };
  readonly smoothgrad: { readonly sigma: number; readonly samples: number; readonly seed: number };
  readonly occlusion: {
    readonly window: readonly [number, number];
    readonly strides: readonly (readonly [number, number])[];
  };
  readonly curves: { readonly cells: readonly [number, number]; readonly order: readonly number[] };
  readonly not_defined: Readonly<Record<string, string>>;
  readonly tolerance: Readonly<Record<string, number>>;
  readonly largest_attention_gradient: number;
}

async function tensorsOf(file: string): Promise<ReadonlyMap<string, TensorData>> {
  const { selected } = await openCheckpoint(file);
  const entries = selected.tensors.map(async (tensor) => {
    const data = toFloat32(await readTensor(tensor), tensor.dtype);
    return [tensor.name, { dtype: 'F32', shape: tensor.shape, data } as const] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Inputs of scores, and what the authors' own code alone computes. */
const given = /^(?:road\.saliency|relevance\.lrp|lrp\.)/;

/** What the reference calls a group of methods. */
const groups: Readonly<Record<string, string>> = { heads: 'ablation' };

/** Largest difference in parts of the tensor's largest, by method and case. */
const measured = new Map<string, Map<string, number>>();

/** Packages that the script of the references calls, and the names it has for them. */
const packages: Readonly<Record<string, string>> = {
  'captum’s ': 'ca.',
  'pytorch-grad-cam’s ': 'pg.',
  'torch.': 'torch.',
};

const known = readdirSync(folder).filter((id) => existsSync(join(folder, id, 'explain.json')));

/** Notes how far a method's tensor is from its reference. */
function noteDifference(
  method: string,
  id: string,
  own: ArrayLike<number>,
  wanted: TensorData['data'],
  scale: number,
): void {
  const cases = measured.get(method) ?? new Map<string, number>();
  measured.set(method, cases);
  wanted.forEach((value: number | bigint, place: number) =>
    cases.set(id, Math.max(cases.get(id) ?? 0, Math.abs(Number(value) - at(own, place)) / scale)),
  );
}

describe('explanations against their references', function () {
  // All methods of a case are hundreds of runs.
  this.timeout(600_000);
  const runner = testInference();
  after(() => runner.dispose());

  for (const id of known) {
    let found: ExplainedImage;
    let wanted: ReadonlyMap<string, TensorData>;
    const reference = JSON.parse(readFileSync(join(folder, id, 'explain.json'), 'utf8')) as Reference;

    before(async () => {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const inputs = await tensorsOf(join(golden.folder, 'reference.safetensors'));
      wanted = await tensorsOf(join(folder, id, 'explain.safetensors'));
      const { target, contrast, cam, smoothgrad, occlusion, curves } = reference;
      found = await runner.explain({
        checkpoint: checkpointPath(golden),
        model: { assume: golden.assume },
        pixels: inputs.get('pixel_values') ?? assert.fail('no pixels'),
        methods: 'all',
        target: String(target),
        contrast: String(contrast),
        camLayer: cam.layer,
        options: {
          noise: smoothgrad,
          occlusion: occlusion.strides.map((strides) => ({ window: occlusion.window, strides })),
          cells: { grid: curves.cells, order: curves.order },
          saliency: (wanted.get('road.saliency') as Values | undefined) ?? assert.fail('no saliency'),
        },
      });
    });

    it(`${id}: every tensor that is computed, within the reference's tolerance`, () => {
      const made = new Map(
        found.outcomes.flatMap((outcome) =>
          'explanation' in outcome ? Object.entries(outcome.explanation.tensors) : [],
        ),
      );
      const methodOfTensor = new Map(
        found.outcomes.flatMap(({ method, ...outcome }) =>
          'explanation' in outcome
            ? Object.keys(outcome.explanation.tensors).map((name) => [name, method.name] as const)
            : [],
        ),
      );
      const names = [...wanted.keys()].filter((name) => !given.test(name));
      assert.ok(names.length > 15);
      for (const name of names) {
        const own = made.get(name) ?? assert.fail(`no ${name}`);
        const { data } = wanted.get(name) ?? assert.fail(name);
        assert.equal(own.data.length, data.length, name);
        const most = Array.from(data, Number).reduce((high, value) => Math.max(high, Math.abs(value)), 0);
        // Gradients of attention may be noise in some layers: they are held to the model's largest.
        const least = name.startsWith('gradient.attention')
          ? 1e-6 * reference.largest_attention_gradient
          : 1e-12;
        const scale = Math.max(most, least);
        const allowed = (reference.tolerance[name] ?? reference.tolerance['default'] ?? 0) * scale;
        noteDifference(methodOfTensor.get(name) ?? assert.fail(name), id, own.data, data, scale);
        data.forEach((value, place) =>
          assert.ok(
            Math.abs(Number(value) - at(own.data, place)) <= allowed,
            `${name}[${place}]: ${at(own.data, place)} for ${value}`,
          ),
        );
      }
    });

    it(`${id}: what does not apply says why`, () => {
      const reasons = new Map(
        found.outcomes.flatMap((outcome) =>
          'reason' in outcome ? [[outcome.method.name, outcome.reason] as const] : [],
        ),
      );
      const without = Object.keys(reference.not_defined).flatMap((names) => names.split(', '));
      for (const name of without)
        assert.ok((reasons.get(groups[name] ?? name) ?? '').length > 10, `no reason for ${name}`);
      for (const { method } of found.outcomes)
        if (wanted.has(method.name)) assert.ok(!reasons.has(method.name), method.name);
    });
  }

  it('what is told of each method is what was measured here', () => {
    assert.deepEqual(
      [...measured.keys()].toSorted(),
      Object.keys(comparisons).toSorted(),
      'methods with references and methods of which a comparison is told',
    );
    for (const [method, errors] of measured) {
      const { within, cases } = comparisons[method] ?? assert.fail(method);
      assert.deepEqual([...errors.keys()].toSorted(), [...cases].toSorted(), method);
      for (const [id, error] of errors)
        assert.ok(error <= within, `${method}, ${id}: ${error}, told is ${within}`);
    }
  });

  it('the models that are told are the references’, and what computed them is', async () => {
    const script = readFileSync(join(folder, 'make/make_explain.py'), 'utf8');
    assert.deepEqual(known.toSorted(), Object.keys(referenceModels).toSorted());
    for (const [id, architecture] of Object.entries(referenceModels)) {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const { recognition } = await openAt(checkpointPath(golden), { assume: golden.assume });
      assert.equal(recognition.family === null ? '' : recognition.architecture, architecture, id);
    }
    for (const { against } of Object.values(comparisons)) {
      const called = Object.entries(packages).flatMap(([words, prefix]) =>
        against.startsWith(words) ? [`${prefix}${against.slice(words.length)}`] : [],
      );
      for (const name of called)
        assert.ok(script.includes(name.replace('pg.ROAD', 'road.')), `the script calls no ${name}`);
      if (called.length === 0) assert.match(against, /^(the published formula|scikit-learn’s PCA$)/);
    }
    assert.match(script, /from sklearn\.decomposition import PCA/);
  });
});
