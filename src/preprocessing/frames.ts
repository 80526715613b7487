/**
 * Which of the images of a clip a model of `frames` frames reads: evenly spaced from the first, as
 * transformers' video processors sample them; of fewer images some stand for several frames.
 */
export const sampledFrames = (images: number, frames: number): readonly number[] =>
  Array.from({ length: frames }, (_, index) => Math.floor((index * images) / frames));
