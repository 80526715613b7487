import type { Checkpoint } from '../../checkpoint/checkpoint';
import type { Tokenizer } from '../../text/tokenizers/tokenizer';
import type { Way } from '../task';

type Json = Readonly<Record<string, unknown>>;

const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Ways that are read of a configuration: T5 lists four, and mT0 none. */
const mostWays = 64;

/** What config.json lists under `task_specific_params`, those with a prefix. */
function waysOfConfig({ sidecars: { config } }: Checkpoint): readonly Way[] {
  const listed = config?.['task_specific_params'];
  if (!isJson(listed)) return [];
  return Object.entries(listed)
    .slice(0, mostWays)
    .flatMap(([name, settings]): readonly Way[] => {
      if (!isJson(settings)) return [];
      const { prefix, ...others } = settings;
      if (typeof prefix !== 'string') return [];
      return [{ name, prefix, arguments: others, source: `config.json: task_specific_params.${name}` }];
    });
}

/** Codes of languages as fairseq's models have them among their tokens: `ro_RO`, `en_XX`. */
const languageCode = /^[a-z]{2,3}_[A-Z][A-Za-z]{1,3}$/;
/** Languages that a vocabulary may have: NLLB has 202. */
const mostLanguages = 512;

/** Languages among the added tokens at the vocabulary's end, one of which a text is begun with. */
function waysOfVocabulary(tokenizer: Tokenizer): readonly Way[] {
  const found: Way[] = [];
  for (let id = Math.max(0, tokenizer.size - mostLanguages); id < tokenizer.size; id++) {
    const token = tokenizer.token(id);
    if (token !== undefined && languageCode.test(token))
      found.push({ name: token, arguments: { forced_bos_token_id: id }, source: 'the vocabulary' });
  }
  return found;
}

/** All ways that files beside a model tell of; none if it does one thing alone. */
export const waysOf = (checkpoint: Checkpoint, tokenizer: Tokenizer): readonly Way[] => [
  ...waysOfConfig(checkpoint),
  ...waysOfVocabulary(tokenizer),
];

/**
 * The way that a text is meant for if nobody says: the first to translate, unless the text already
 * begins with one of the prefixes.
 */
export function usualWay(ways: readonly Way[], text: string): Way | undefined {
  const prefixed = ways.filter(({ prefix }) => prefix !== undefined);
  if (prefixed.some(({ prefix = '' }) => text.startsWith(prefix))) return undefined;
  return prefixed.find(({ name }) => name.startsWith('translation')) ?? prefixed[0];
}
