/** Every bound that graphs are held to while they are written, with its reason. */
export const graphLimits = {
  /**
   * Numbers of one table that is computed for a graph: positions, masks, orders of windows. 80 MB
   * of float32; pairs of 4 400 tokens, an image of 1 056 pixels in patches of 16.
   */
  madeNumbers: 20_000_000,
  /**
   * Places of a list that is computed number by number; each costs a small list of its own. The
   * tokens of an image of 16 384 pixels in patches of 16.
   */
  madePlaces: 2 ** 20,
  /** Bytes of all such tables of a graph; those of published models come to a few MB. */
  constantBytes: 128e6,
  /**
   * Operators of a graph that a family writes: the deepest network that is known, of 1 000 layers,
   * takes about 20 000.
   */
  nodes: 200_000,
  /**
   * Operators that local functions of an .onnx file come to where they are called; PyTorch's
   * exporter writes one function a module, a few thousand in all.
   */
  expandedNodes: 50_000,
  /**
   * Characters of their names, which repeat where they were called: those of 50 000 operators in
   * modules whose paths have 100.
   */
  expandedCharacters: 5_000_000,
  /**
   * Numbers that are computed while an .onnx file is read, all operators together: arithmetic on
   * shapes has a handful each, tables of positions some 10 000.
   */
  foldedNumbers: 1_000_000,
  /**
   * Operators that are looked at to find where attention lies on the image, all layers together:
   * 60 layers of 50 operators, each of which goes back to the first twice, take 180 000.
   */
  geometrySteps: 200_000,
  /** Softmaxes among which attention is looked for: 100 layers of 4 windows each have 400. */
  attentions: 1024,
} as const;

/** A graph would hold or compute more than any model needs: a size that was stated is absurd. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * Returns a count of numbers that a table may have. Throws `TooLargeError`, before anything is
 * allocated, if it is above the limit or no count at all.
 */
export function room(numbers: number, limit: number = graphLimits.madeNumbers): number {
  if (Number.isSafeInteger(numbers) && numbers >= 0 && numbers <= limit) return numbers;
  throw new TooLargeError(
    `a table of ${numbers} numbers would be needed, at most ${limit} are made; a smaller image size needs fewer`,
  );
}

/** The same for lists of places. */
export const placesRoom = (places: number): number => room(places, graphLimits.madePlaces);
