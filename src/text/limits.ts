/** Every bound that files beside a model and texts are checked against, with its reason. */
export const textLimits = {
  /**
   * Bytes of one tokenizer file: Gemma's tokenizer.json, 256 000 pieces and their merges, has 34
   * MB.
   */
  fileBytes: 64e6,
  /** Pieces of a vocabulary: the largest published ones (XLM-R, Gemma) have about 260 000. */
  vocabulary: 1_000_000,
  /** Merges of a byte-pair encoding: Gemma's tokenizer.json lists 580 000. */
  merges: 4_000_000,
  /** Tokens added to a vocabulary: T5 adds 100, location tokens of detectors about 1 000. */
  addedTokens: 20_000,
  /** Characters of one piece: SentencePiece trains up to 16, added tokens are sentences at most. */
  pieceCharacters: 1024,
  /** Bytes of a compiled normalisation table: nmt_nfkc_cf, the largest in use, has 0.3 MB. */
  charsmapBytes: 8e6,
  /**
   * Steps that one normaliser, pre-tokenizer or decoder may hold: published ones have at most 6.
   */
  steps: 64,
  /** Sequences inside of sequences: published files have 1. */
  nesting: 8,
  /** Characters of a text that is tokenized: a book; a prompt has a hundred. */
  textCharacters: 2_000_000,
  /** Tokens of one text after padding: contexts of published models end at about 1 000 000. */
  tokens: 2_000_000,
  /** Prompts that are made of one template: more than a table of scores can show. */
  prompts: 100_000,
  /** Tokens that are generated: no decoder in use here has as many positions. */
  generatedTokens: 32_768,
  /** Beams of a search: published settings have at most 10. */
  beams: 64,
} as const;
