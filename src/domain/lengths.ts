/** What a length counts, and how many are asked for at most if the model sets no bounds. */
interface LengthFacts {
  readonly title: string;
  readonly most: number;
}

/** Every length by the name that graphs, `--lengths` and reports have for it. */
export const knownLengths: Readonly<Record<string, LengthFacts>> = {
  texts: { title: 'Texts', most: 1000 },
  text: { title: 'Tokens of a text', most: 512 },
  decoder: { title: 'Decoder tokens', most: 512 },
  frames: { title: 'Frames of a clip', most: 128 },
  prompts: { title: 'Prompts', most: 64 },
  points: { title: 'Points of a prompt', most: 64 },
  boxes: { title: 'Boxes of a prompt', most: 1 },
};

export const lengthNames: readonly string[] = Object.keys(knownLengths);
