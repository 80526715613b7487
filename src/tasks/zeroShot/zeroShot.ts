import { topK as rankedScores } from '../../labels/labels';
import type { GraphOutput } from '../../graph/graph';
import { formatPercent } from '../../domain/units';
import type { Model, Part } from '../../models/model';
import type { Scores } from '../answer';
import { outputJson, vectorOf } from '../outputs/reading';
import { cannotRun, nothingGiven, outputOf, type GivenTensor, type Step, type Task } from '../task';
import type { Given } from '../run';
import { encodeTexts, textsIn, tokenizerOf } from '../words';

const partWith = ({ parts }: Model, means: GraphOutput['means']): Part | undefined =>
  parts.find(({ graph }) => outputOf(graph().outputs, means));

/** Name of an output of a meaning. Throws if the part has none. */
function nameOf(part: Part, means: GraphOutput['means']): string {
  const found = outputOf(part.graph().outputs, means);
  if (!found) throw new Error(`the part ${part.name} answers no ${means}`);
  return found.name;
}

/** Texts and tokens of given ids. */
const lengthsOf = ({ shape: [texts = 1, text = 1] }: GivenTensor): Readonly<Record<string, number>> => ({
  texts,
  text,
});

/** Texts as they are scored: those that are given, or each label in its template. */
function promptsOf(given: Given, labels: readonly string[]): readonly string[] {
  const prompts = [...textsIn(given, 'prompts'), ...textsIn(given, 'texts'), ...textsIn(given, 'text')];
  const [template = '{}'] = textsIn(given, 'template');
  return prompts.length > 0 ? prompts : labels.map((label) => template.replaceAll('{}', label));
}

/** Scores an image with texts: what it shows, by words that nobody trained it on as classes. */
export const zeroShot: Task<Scores> = {
  answerName: 'zero_shot',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    return partWith(model, 'scores') ? undefined : 'it does not compare images with texts';
  },
  async prepare(model, given) {
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    const words = textsIn(given, 'labels');
    const prompts = promptsOf(given, words);
    if (prompts.length === 0 || reading?.task !== 'zero-shot') return nothingGiven;
    const { ids, mask } = encodeTexts(await tokenizerOf(model), prompts, {
      most: reading.context,
      ...(reading.padding === 'context' && { padTo: reading.context }),
    });
    return {
      tensors: { input_ids: ids, attention_mask: mask },
      words: words.length === prompts.length ? words : prompts,
    };
  },
  program(model, size, { tensors }) {
    const [image, text, score] = model.parts;
    if (!image || !text || !score) throw new Error('the model has no two towers');
    const pixels = image.graph(size).inputs[0]?.name ?? 'pixel_values';
    const first: Step = {
      part: image.name,
      inputs: { [pixels]: 'image' },
      outputs: image.graph(size).outputs.map(({ name }) => name),
    };
    const { input_ids: ids } = tensors;
    if (!ids) return { steps: [first] };
    const lengths = lengthsOf(ids);
    const inputs = text.graph({ ...size, lengths }).inputs.flatMap(({ name }) => {
      const given = tensors[name];
      return given ? [[name, given] as const] : [];
    });
    const [ofImage, ofText] = [nameOf(image, 'embedding'), nameOf(text, 'embedding')];
    return {
      steps: [
        first,
        { part: text.name, inputs: Object.fromEntries(inputs), outputs: [ofText], lengths },
        {
          part: score.name,
          inputs: {
            [ofImage]: { step: 0, output: ofImage },
            [ofText]: { step: 1, output: ofText },
          },
          outputs: [nameOf(score, 'scores')],
          lengths,
        },
      ],
    };
  },
  read(outputs, _seen, { reading, given, topK }) {
    const scoreKind = reading?.task === 'zero-shot' ? reading.scores : 'softmax';
    const logits = outputOf(outputs, 'scores');
    const vector = outputOf(outputs, 'features');
    const common = { kind: 'scores', scoreKind, ...(vector && { vector: vectorOf(vector) }) } as const;
    if (!logits) return { ...common, scores: [], missing: 'no text is given: say what the image may show' };
    const words = given?.words ?? [];
    const best = rankedScores(logits.values, Math.max(topK, words.length), scoreKind);
    return {
      ...common,
      scores: best.map(({ index, probability }) => ({
        index,
        label: words[index] ?? `text ${index}`,
        score: probability,
      })),
    };
  },
  json: ({ scores, scoreKind, missing, vector }) => ({
    top: scores.map(({ index, label, score }) => ({ index, label, probability: score })),
    labels: 'the texts that were given',
    score: scoreKind,
    ...(missing !== undefined && { missing }),
    ...(vector && { outputs: [outputJson(vector)] }),
  }),
  lines: ({ scores, missing }) =>
    missing === undefined
      ? scores.map(({ label, score }) => `${formatPercent(score).padStart(8)}  ${label}`)
      : [missing],
  answers: ({ scores }) => ({
    list: [scores.map(({ index, label, score }) => ({ label: index, name: label, score }))],
  }),
};
