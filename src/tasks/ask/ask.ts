import { formatPercent } from '../../domain/units';
import type { Graph } from '../../graph/graph';
import { labelsOfHeads, topK } from '../../labels/labels';
import type { Model } from '../../models/model';
import type { Replies, Text } from '../answer';
import { textFiles, textJson, textLines } from '../caption/caption';
import {
  cannotRun,
  nothingGiven,
  outputOf,
  requireOutput,
  type AnswerFiles,
  type GivenTensor,
  type Prepared,
  type Task,
} from '../task';
import { encodeTexts, textsIn, tokenizerOf } from '../words';
import { generationsOf, readerOf, textAnswer, writes, writingSteps, type Generations } from '../writing';
import type { TextReader } from '../writing';

/** What a question is until one is asked: the image alone has no answer. */
const noQuestion = 'no question is asked: say what is to be known of the image';

const readsWords = ({ inputs }: Graph): boolean => inputs.some(({ name }) => name === 'input_ids');

/** Zeros for each token: a question is one text, whose kind is the first. */
const firstKind = ({ shape }: GivenTensor): GivenTensor => ({
  dtype: 'I64',
  shape,
  data: new BigInt64Array(shape.reduce((product, side) => product * side, 1)),
});

const repliesOf = ({ parts }: Model): Model['parts'][number] | undefined =>
  parts.find(({ graph }) => outputOf(graph().outputs, 'replies') && readsWords(graph()));

/** What a reply is written with. */
interface PreparedReply extends Prepared, Generations {
  readonly reader: TextReader;
  readonly question?: string;
}

/** Nothing is read before a question is asked. */
const noReader: TextReader = { text: () => '', withSpecial: () => '' };

const isPreparedReply = (given: Prepared | undefined): given is PreparedReply =>
  given !== undefined && 'generations' in given;

/** A question as the model was trained to read it: the name of a task says a whole sentence. */
export function spelledOut(question: string, questions: Readonly<Record<string, string>> = {}): string {
  const text = question.trim();
  const [name] = Object.keys(questions).filter((each) => text.startsWith(each));
  const sentence = name === undefined ? undefined : questions[name];
  return name === undefined || sentence === undefined
    ? question
    : sentence.replace('{input}', text.slice(name.length).trim());
}

/**
 * Answers a question about an image: with the likeliest of the replies that a model has learned, or
 * in words that it writes.
 */
export const ask: Task<Replies | Text> = {
  answerName: 'answers',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    const replies = repliesOf(model) ?? (reading?.task === 'ask' && reading.writing && writes(model));
    return replies ? undefined : 'it answers no questions';
  },
  async prepare(model, given) {
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    const [question] = textsIn(given, 'question');
    if (reading?.task !== 'ask') return nothingGiven;
    // Until a question is asked the image is run beside none, and what comes of it is no reply.
    const asked = question?.trim() === '' ? undefined : question;
    if (reading.writing && asked === undefined) {
      const nothing: PreparedReply = { tensors: {}, generations: [], warnings: [], reader: noReader };
      return nothing;
    }
    const written = spelledOut(asked ?? '', reading.questions);
    const { ids, mask } = encodeTexts(await tokenizerOf(model), [written], { most: reading.context });
    if (reading.writing && asked !== undefined) {
      const { reader, tokenizer } = await readerOf(model);
      const settled = await generationsOf(model, reading.writing, given, tokenizer);
      const tensors = { input_ids: ids, attention_mask: mask };
      const prepared: PreparedReply = { tensors, ...settled, reader, question: asked, textOf: reader.text };
      return prepared;
    }
    return {
      tensors: { input_ids: ids, attention_mask: mask, token_type_ids: firstKind(ids) },
      words: asked === undefined ? [] : [asked],
    };
  },
  program(model, size, prepared: Prepared) {
    if (isPreparedReply(prepared))
      return { steps: writingSteps(model, size, prepared, prepared.generations) };
    const { tensors } = prepared;
    const part = repliesOf(model);
    const { input_ids: ids } = tensors;
    if (!part) throw new Error('the model answers no questions');
    if (!ids) throw new Error(noQuestion);
    const lengths = { texts: ids.shape[0] ?? 1, text: ids.shape[1] ?? 1 };
    const { inputs, outputs } = part.graph({ ...size, lengths });
    const [pixels] = inputs;
    const { name } = outputOf(outputs, 'replies') ?? { name: 'logits' };
    const words = inputs.flatMap((input) => {
      const given = tensors[input.name];
      return given ? [[input.name, given] as const] : [];
    });
    return {
      steps: [
        {
          part: part.name,
          inputs: { [pixels?.name ?? 'pixel_values']: 'image', ...Object.fromEntries(words) },
          outputs: [name],
          lengths,
        },
      ],
    };
  },
  read(outputs, _seen, context) {
    if (isPreparedReply(context.given)) {
      const { question } = context.given;
      const missing = question === undefined ? { missing: noQuestion } : {};
      return textAnswer(context.written ?? [], { ...context.given, asks: 'question', ...missing });
    }
    const { values } = requireOutput(outputs, 'replies');
    const { post, given } = context;
    const [labels] = labelsOfHeads(context, [values.length]);
    const activation = post?.['sigmoid'] === false ? 'softmax' : 'sigmoid';
    const count = typeof post?.['top'] === 'number' ? post['top'] : context.topK;
    const [question] = given?.words ?? [];
    const common = { kind: 'replies', scoreKind: activation, labelSource: labels?.source ?? '' } as const;
    if (given?.words && question === undefined) return { ...common, replies: [], missing: noQuestion };
    return {
      ...common,
      replies: topK(values, count, activation).map(({ index, probability }) => ({
        index,
        label: labels?.names[index] ?? `answer ${index}`,
        score: probability,
      })),
      ...(question !== undefined && { question }),
    };
  },
  json: (answer) => (answer.kind === 'text' ? textJson(answer) : repliesJson(answer)),
  lines: (answer) => (answer.kind === 'text' ? textLines(answer) : repliesLines(answer)),
  answers: (answer) => (answer.kind === 'text' ? textFiles(answer) : repliesFiles(answer)),
};

const repliesJson = ({ question, replies, scoreKind, labelSource, missing }: Replies): object => ({
  ...(missing !== undefined && { missing }),
  ...(question !== undefined && { question }),
  top: replies.map(({ index, label, score }) => ({ index, label, probability: score })),
  labels: labelSource,
  score: scoreKind,
});

const repliesLines = ({ question, replies, missing }: Replies): readonly string[] => [
  ...(missing === undefined ? [] : [missing]),
  ...(question === undefined ? [] : [question]),
  ...replies.map(({ label, score }) => `${formatPercent(score).padStart(8)}  ${label}`),
];

const repliesFiles = ({ replies }: Replies): AnswerFiles => ({
  list: [replies.map(({ index, label, score }) => ({ label: index, name: label, score }))],
});
