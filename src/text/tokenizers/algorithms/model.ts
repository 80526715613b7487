/** Cuts pieces of a text into tokens of a vocabulary. */
export interface Model {
  readonly kind: 'BPE' | 'WordPiece' | 'Unigram' | 'WordLevel';
  /** Tokens of the vocabulary itself, without added ones. */
  readonly size: number;
  /** Ids of a piece, in order. */
  ids(piece: string): readonly number[];
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
}
