// Records what the page of explanations is looked at with: a model each of whose answers depends on
// one known place, and the sample model. Run it as record.ts is run; test/inference holds what it
// wrote to what is computed.
import { mkdir, writeFile } from 'node:fs/promises';
import type { Explainable, Faithfulness, Shown } from '../../src/domain/explanation';
import { defaultLimits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { createInference, type Inference } from '../../src/inference/service';
import { OpenedModels } from '../../src/models/openedModels';
import { Explaining, type Asked } from '../../src/useCases/explaining';

export const whyImage = 'media/sample/images/cat-on-grass.jpg';

/** Models, how many of their classes are explained, and what is too large to be recorded. */
export const whyModels = {
  places: { checkpoint: 'test/fixtures/onnx/places/model.onnx', classes: 2, left: /^$/ },
  sample: {
    checkpoint: 'media/sample/vitrine-sample',
    classes: 2,
    left: /gradient$|gradients$|smoothgrad|occlusion/,
  },
} as const;

/** Of one model: what is offered, what was found by method and class, and the test of two maps. */
export interface RecordedWhy {
  readonly explainable: Omit<Explainable, 'scores'> & { readonly scores: readonly number[] };
  readonly shown: Readonly<Record<string, unknown>>;
  readonly faithfulness: unknown;
}

/** Four digits are more than a colour shows. */
const short = (values: ArrayLike<number>): readonly number[] =>
  Array.from(values, (value) => Number(value.toPrecision(4)));

const withLists = (value: Shown | Faithfulness | Explainable): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each: unknown) => (each instanceof Float32Array ? short(each) : each)),
  );

export async function recordWhy(
  inference: Inference,
  { checkpoint, classes, left }: (typeof whyModels)[keyof typeof whyModels],
): Promise<RecordedWhy> {
  const opened = await new OpenedModels().open(checkpoint);
  const asked: Asked = { signal: new AbortController().signal, progress: () => undefined };
  const explaining = await Explaining.open(inference, { opened, image: whyImage, options: {} }, asked);
  const { explainable } = explaining;
  const ranked = [...explainable.scores.keys()].sort(
    (one, other) => (explainable.scores[other] ?? 0) - (explainable.scores[one] ?? 0),
  );
  const shown: Record<string, unknown> = {};
  for (const { name, whyNot } of explainable.methods)
    if (whyNot === undefined && !left.test(name))
      for (const target of ranked.slice(0, classes))
        shown[`${name} ${target}`] = withLists(await explaining.explain({ method: name, target }, asked));
  const drawn = Object.keys(shown).flatMap((key) =>
    key.endsWith(` ${ranked[0]}`) ? [key.split(' ')[0] ?? ''] : [],
  );
  const faithfulness = await explaining.faithfulness(drawn.slice(0, 2), ranked[0] ?? 0, asked);
  return {
    explainable: withLists(explainable) as RecordedWhy['explainable'],
    shown,
    faithfulness: withLists(faithfulness),
  };
}

/** One patch of the sample through a block, as one of its heads looks. */
export const walkQuestion = { block: 2, head: 1, patch: [3, 4] } as const;

export async function recordWalk(inference: Inference): Promise<unknown> {
  const opened = await new OpenedModels().open(whyModels.sample.checkpoint);
  const asked: Asked = { signal: new AbortController().signal, progress: () => undefined };
  const explaining = await Explaining.open(inference, { opened, image: whyImage, options: {} }, asked);
  const walk = await explaining.walk(walkQuestion, asked);
  return JSON.parse(
    JSON.stringify(walk, (_, each: unknown) => (each instanceof Float32Array ? short(each) : each)),
  );
}

export const whyInference = (processPath: string): Inference =>
  createInference({
    processPath,
    store: createMemoryStore(),
    log: { debug() {}, info() {}, warn() {} },
    limits: defaultLimits,
  });

export async function writeWhy(folder: string): Promise<void> {
  const inference = whyInference('dist/process.js');
  await mkdir(folder, { recursive: true });
  for (const [name, model] of Object.entries(whyModels))
    await writeFile(`${folder}/why-${name}.json`, `${JSON.stringify(await recordWhy(inference, model))}\n`);
  await writeFile(`${folder}/why-walk.json`, `${JSON.stringify(await recordWalk(inference))}\n`);
  await inference.dispose();
}
