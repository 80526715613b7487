import { asFlag, asJson, asList, asText, isJson, type Json } from '../json';
import { plainToken, readAddedToken, type AddedToken } from './addedTokens';
import { specialNames, type SpecialName } from './tokenizer';

/** The special tokens that the files beside a model name, and in which order they are added. */
export interface Specials {
  readonly named: Readonly<Partial<Record<SpecialName, AddedToken>>>;
  readonly added: readonly AddedToken[];
}

/** Files and defaults that say which tokens are special; each may be absent. */
export interface SpecialSources {
  /** tokenizer_config.json */
  readonly config: Json;
  /** special_tokens_map.json */
  readonly map?: Json;
  /** `added_tokens` of tokenizer.json */
  readonly file?: readonly unknown[];
  /** added_tokens.json: `{ token: id }` */
  readonly ids?: Json;
  /** What the class takes if no file names a token. */
  readonly defaults: Readonly<Partial<Record<SpecialName, string>>>;
  /** Tokens of the class beside the named ones. */
  readonly extra: readonly AddedToken[];
}

/**
 * Settles special tokens as transformers does: tokenizer_config.json with its
 * `added_tokens_decoder`, without that also special_tokens_map.json, added_tokens.json and
 * tokenizer.json, then the class. A name that a file sets to null has no token.
 */
export function settleSpecials(sources: SpecialSources): Specials {
  const decoder = asJson(sources.config['added_tokens_decoder']);
  const listed = decoder === undefined ? legacy(sources) : ofDecoder(decoder);
  const byContent = new Map(listed.map((token) => [token.content, token]));
  const settings: Json = decoder === undefined ? { ...sources.config, ...sources.map } : sources.config;
  const named: Partial<Record<SpecialName, AddedToken>> = {};
  for (const name of specialNames) {
    const value = settings[`${name}_token`];
    const given = value === undefined ? sources.defaults[name] : value;
    const token = readNamed(
      given,
      value !== undefined && asText(sources.config[`${name}_token`]) === undefined,
    );
    if (token !== undefined) named[name] = { ...(byContent.get(token.content) ?? token), special: true };
  }
  const others = extras(settings) ?? sources.extra;
  const added = new Map(listed.map((token) => [token.content, token]));
  for (const token of [...Object.values(named), ...others])
    if (!added.has(token.content)) added.set(token.content, token);
  const names = new Set(Object.values(named).map(({ content }) => content));
  return {
    named,
    added: [...added.values()].map((token) =>
      names.has(token.content) ? { ...token, special: true } : token,
    ),
  };
}

/** A name's token: text is plain and special; an object keeps how it is looked for. */
function readNamed(value: unknown, isOfMap: boolean): AddedToken | undefined {
  if (typeof value === 'string') return value === '' ? undefined : plainToken(value, true);
  return isJson(value) ? readAddedToken(value, isOfMap) : undefined;
}

function ofDecoder(decoder: Json): readonly AddedToken[] {
  return Object.entries(decoder)
    .sort(([a], [b]) => Number(a) - Number(b))
    .flatMap(([, value]) => readAddedToken(value, false) ?? []);
}

function legacy({ file = [], ids = {}, config, map }: SpecialSources): readonly AddedToken[] {
  const names = new Set(
    [
      ...specialNames.map((name) => ({ ...config, ...map })[`${name}_token`]),
      ...(asList(config['additional_special_tokens']) ?? []),
    ].map((value) => readAddedToken(value, true)?.content),
  );
  const byId = new Map<number, AddedToken>();
  for (const [content, id] of Object.entries(ids))
    if (typeof id === 'number') byId.set(id, plainToken(content, names.has(content)));
  for (const item of file) {
    const token = readAddedToken(item, false);
    const id = asJson(item)?.['id'];
    if (token !== undefined && typeof id === 'number') byId.set(id, token);
  }
  return [...byId].sort(([a], [b]) => a - b).map(([, token]) => token);
}

/** Further special tokens; transformers 5 has renamed the setting. */
function extras(settings: Json): readonly AddedToken[] | undefined {
  const list = asList(settings['extra_special_tokens']) ?? asList(settings['additional_special_tokens']);
  return list?.flatMap((value) => readAddedToken(value, typeof value === 'string') ?? []);
}

export const flag = (config: Json, name: string, otherwise: boolean): boolean =>
  asFlag(config[name]) ?? otherwise;
