import { BinaryReader } from '@bufbuild/protobuf/wire';
import { TextError } from '../../errors';
import { textLimits } from '../../limits';

/** Kinds of a piece, by their numbers in the file. */
export const pieceKinds = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export interface SentencePiece {
  readonly text: string;
  /** Logarithm of its probability; for byte pairs, minus the rank of its merge. */
  readonly score: number;
  /** One of `pieceKinds`. */
  readonly kind: number;
}

/** What a `.model` or `.spm` file of SentencePiece says; defaults are those of its definition. */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  /** Algorithm: 1 unigram, 2 byte pairs, 3 words, 4 characters. */
  readonly algorithm: number;
  readonly unknownId: number;
  readonly unknownPiece: string;
  /** What is shown for an unknown token. */
  readonly unknownSurface: string;
  readonly bytes: boolean;
  readonly spaceIsSuffix: boolean;
  /** Compiled normalisation table; empty without rules. */
  readonly charsmap: Uint8Array;
  /** Puts a space before the text. */
  readonly addsPrefix: boolean;
  /** Drops spaces at the ends, and all but one inside. */
  readonly removesSpaces: boolean;
  /** Writes ▁ for a space. */
  readonly escapesSpaces: boolean;
}

type Fields = Readonly<Record<number, (reader: BinaryReader) => void>>;

function readMessage(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(wire, field);
    else read(reader);
  }
}

/**
 * Reads a SentencePiece model (sentencepiece_model.proto of google/sentencepiece). Throws
 * `TextError` for a file that is cut off, is none or has too many pieces.
 */
export function readSentencePiece(bytes: Uint8Array, file: string): SentencePieceModel {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof TextError) throw new TextError(`${file}: ${error.message}`);
    throw new TextError(
      `${file} is no SentencePiece model: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function parse(bytes: Uint8Array): SentencePieceModel {
  const pieces: SentencePiece[] = [];
  const model = {
    algorithm: 1,
    unknownId: 0,
    unknownPiece: '<unk>',
    unknownSurface: ' \u2047 ',
    bytes: false,
    spaceIsSuffix: false,
    charsmap: new Uint8Array(),
    addsPrefix: true,
    removesSpaces: true,
    escapesSpaces: true,
  };
  readMessage(bytes, {
    1: (reader) => {
      if (pieces.length >= textLimits.vocabulary) throw new TextError('more pieces than are read');
      pieces.push(parsePiece(reader.bytes()));
    },
    2: (reader) =>
      readMessage(reader.bytes(), {
        3: (inner) => (model.algorithm = inner.int32()),
        24: (inner) => (model.spaceIsSuffix = inner.bool()),
        35: (inner) => (model.bytes = inner.bool()),
        40: (inner) => (model.unknownId = inner.int32()),
        44: (inner) => (model.unknownSurface = inner.string()),
        45: (inner) => (model.unknownPiece = inner.string()),
      }),
    3: (reader) =>
      readMessage(reader.bytes(), {
        2: (inner) => (model.charsmap = Uint8Array.from(inner.bytes())),
        3: (inner) => (model.addsPrefix = inner.bool()),
        4: (inner) => (model.removesSpaces = inner.bool()),
        5: (inner) => (model.escapesSpaces = inner.bool()),
      }),
  });
  if (pieces.length === 0) throw new TextError('it holds no pieces');
  return { pieces, ...model };
}

function parsePiece(bytes: Uint8Array): SentencePiece {
  const piece = { text: '', score: 0, kind: pieceKinds.normal as number };
  readMessage(bytes, {
    1: (reader) => (piece.text = reader.string()),
    2: (reader) => (piece.score = reader.float()),
    3: (reader) => (piece.kind = reader.int32()),
  });
  return piece;
}
