import { topK as rankedScores } from '../../labels/labels';
import { formatPercent } from '../../domain/units';
import type { Scores } from '../answer';
import { outputJson, vectorOf } from '../outputs/reading';
import { lengthsOfIds, partsProgram } from '../partsProgram';
import { cannotRun, nothingGiven, outputOf, type Task } from '../task';
import { promptsIn, readTexts } from '../words';

/** Scores an image with texts: what it shows, by words that nobody trained it on as classes. */
export const zeroShot: Task<Scores> = {
  answerName: 'zero_shot',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    return model.parts.some(({ graph }) => outputOf(graph().outputs, 'scores'))
      ? undefined
      : 'it does not compare images with texts';
  },
  async prepare(model, given) {
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    const prompts = promptsIn(given);
    if (prompts.length === 0 || reading?.task !== 'zero-shot') return nothingGiven;
    const { ids, mask } = await readTexts(
      model,
      prompts.map(({ text }) => text),
      reading,
    );
    return {
      tensors: { input_ids: ids, attention_mask: mask },
      words: prompts.map(({ label }) => label),
    };
  },
  program: (model, size, given) => partsProgram(model, size, given, lengthsOfIds(given.tensors['input_ids'])),
  read(outputs, _seen, { reading, given, topK }) {
    const scoreKind = reading?.task === 'zero-shot' ? reading.scores : 'softmax';
    const logits = outputOf(outputs, 'scores');
    const vector = outputOf(outputs, 'features');
    const embedding = outputOf(outputs, 'embedding');
    const common = {
      kind: 'scores',
      scoreKind,
      ...(vector && { vector: vectorOf(vector) }),
      ...(embedding && { embedding: embedding.values }),
    } as const;
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
