import type { Model } from '../../models/model';
import { settleGeneration, type SettledGeneration } from '../../text/generation/settings';
import type { Tokenizer } from '../../text/tokenizers/tokenizer';
import type { TranslatedText, Translation } from '../answer';
import type { Given } from '../run';
import {
  cannotRun,
  nothingGiven,
  outputOf,
  type Generation,
  type Prepared,
  type Step,
  type Task,
  type Way,
  type Spelling,
  type Written,
} from '../task';
import { encodeTexts, textsIn, tokenizerOf } from '../words';
import { askedTexts, generationConfig, notDone, withTokenizer, type AskedText } from '../writing';
import { usualWay, waysOf } from './ways';

/** What is said until a text is given. */
const noText = 'no text is given: type one';

/** The way that is asked for by its name; the usual one for `usual`, none without a word. */
function wayIn({ as }: Given, ways: readonly Way[], text: string): Way | undefined {
  if (as === undefined || as === '') return undefined;
  if (as === 'usual') return usualWay(ways, text);
  const found = ways.find(({ name }) => name === as);
  if (!found)
    throw new Error(
      `${String(as)} found; ${ways.length > 0 ? `the files beside the model know ${ways.map(({ name }) => name).join(', ')}` : 'the files beside the model know one way alone'}`,
    );
  return found;
}

/** Tokens that a sequence may have, if the model has so many places. */
const placesOf = ({ recognition }: Model): number | undefined =>
  recognition.family !== null && recognition.reading?.task === 'translate'
    ? recognition.reading.places
    : undefined;

function begun(
  { name }: AskedText,
  { settings }: SettledGeneration,
  encoderIds: readonly number[],
): Generation {
  const { start } = settings;
  if (start === undefined)
    throw new Error(
      'what a translation starts with is not known: decoder_start_token_id in generation_config.json or config.json',
    );
  return { name, prompt: [start], settings, encoderIds };
}

/** A token as people read it; a part of a character as the vocabulary writes it. */
function shownToken(tokenizer: Tokenizer, id: number): string {
  const text = tokenizer.decode([id], { skipSpecial: false }).trim();
  return text === '' || text.includes('\ufffd') ? (tokenizer.token(id) ?? String(id)) : text;
}

function spellingOf(tokenizer: Tokenizer, ids: readonly number[]): Spelling {
  return {
    ...withTokenizer(tokenizer),
    token: (id) => tokenizer.token(id) ?? String(id),
    shown: (id) => shownToken(tokenizer, id),
    source: ids,
  };
}

const partsOf = ({ parts }: Model): readonly [Model['parts'][number], Model['parts'][number]] | undefined => {
  const [reader, writer] = parts;
  return parts.length === 2 && reader && writer ? [reader, writer] : undefined;
};

const isMine = ({ recognition }: Model): boolean =>
  recognition.family !== null && recognition.reading?.task === 'translate';

/** Makes another text of a text: the encoder reads it once, the decoder writes token by token. */
export const translate: Task<Translation> = {
  answerName: 'translation',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    return isMine(model) ? undefined : 'it does not write a text about another';
  },
  ways: async (model) => {
    const ways = waysOf(model.checkpoint, await tokenizerOf(model));
    const usual = usualWay(ways, '');
    return usual ? [usual, ...ways.filter((way) => way !== usual)] : ways;
  },
  async prepare(model, given) {
    const [text] = textsIn(given, 'text');
    if (text === undefined || !isMine(model)) return nothingGiven;
    const { checkpoint } = model;
    const tokenizer = await tokenizerOf(model);
    const way = wayIn(given, waysOf(checkpoint, tokenizer), text);
    const places = placesOf(model);
    const most = Math.min(places ?? Infinity, tokenizer.maxLength ?? Infinity);
    const asked = `${way?.prefix ?? ''}${text}`;
    const { ids, mask, cut } = encodeTexts(tokenizer, [asked], { most });
    const source = Array.from(ids.data, Number);
    const file = await generationConfig(checkpoint);
    const config = checkpoint.sidecars.config;
    const settled = askedTexts(given, 'default').map((named) => ({
      named,
      found: settleGeneration({
        given: { ...way?.arguments, ...named.arguments },
        ...(file && { file }),
        ...(config && { config }),
        promptLength: 1,
        ...(places !== undefined && { positions: places }),
      }),
    }));
    const spelling = spellingOf(tokenizer, source);
    return {
      tensors: { input_ids: ids, attention_mask: mask },
      words: [asked],
      textOf: spelling.text,
      spelling,
      toWrite: settled.map(({ named, found }) => begun(named, found, source)),
      remarks: [
        ...(cut > 0 ? [`The text was cut to ${source.length} tokens, as many as the model reads.`] : []),
        ...notDone(settled.flatMap(({ found }) => found.unsupported)),
      ],
    };
  },
  program(model, size, { tensors, toWrite = [] }: Prepared) {
    const parts = partsOf(model);
    const { input_ids: ids, attention_mask: mask } = tensors;
    if (!parts) throw new Error('the model has no encoder and decoder');
    if (!ids || !mask) throw new Error(noText);
    const [reader, writer] = parts;
    const lengths = { texts: 1, text: ids.shape[1] ?? 1 };
    const state = outputOf(reader.graph({ ...size, lengths }).outputs, 'state');
    if (!state) throw new Error('the encoder hands nothing on');
    const inputs = { [state.name]: { step: 0, output: state.name } };
    return {
      steps: [
        {
          part: reader.name,
          inputs: { input_ids: ids, attention_mask: mask },
          outputs: [state.name],
          lengths,
        },
        ...toWrite.map((generation): Step => ({
          part: writer.name,
          inputs,
          outputs: [],
          lengths,
          generation,
        })),
      ],
    };
  },
  read: (_outputs, _seen, { written = [], given }) => ({
    kind: 'translation',
    texts: given?.spelling ? written.flatMap((each) => textOf(each, given.spelling)) : [],
  }),
  json: ({ texts: [first] }) => (first ? { text: first.text, ...scoreOf(first) } : {}),
  lines: ({ texts }) => texts.map(({ name, text }) => (texts.length > 1 ? `${name}: ${text}` : text)),
  answers: () => ({}),
};

const scoreOf = ({ score }: TranslatedText): { score?: number } => (score === undefined ? {} : { score });

/** A generated text as people and programs read it. */
function textOf(
  { generation, sequences }: Written,
  spelling: Spelling | undefined,
): readonly TranslatedText[] {
  const [best] = sequences;
  if (!best || !spelling) return [];
  const { ids, tokens, ending, score } = best;
  return [
    {
      name: generation.name,
      ids,
      text: spelling.text(ids),
      textWithSpecial: spelling.withSpecial(ids),
      tokens: tokens.map((token) => ({
        id: token.id,
        text: spelling.token(token.id),
        shown: spelling.shown(token.id),
        score: token.score,
      })),
      ending,
      ...(score !== undefined && { score }),
    },
  ];
}
