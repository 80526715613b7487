// What the references say about the sample workspace.
import { readFileSync } from 'node:fs';

interface ExpectedImage {
  readonly image: string;
  readonly size: readonly [width: number, height: number];
  readonly top5: readonly (readonly [label: string, probability: number])[];
  readonly as_stored?: readonly (readonly [label: string, probability: number])[];
}

const { images } = JSON.parse(readFileSync('media/sample/expected.json', 'utf8')) as {
  readonly images: readonly ExpectedImage[];
};

/** The reference's answer of vitrine-sample for an image of the sample. */
export function expectedOf(image: string): ExpectedImage {
  const found = images.find((entry) => entry.image === image);
  if (!found) throw new Error(`expected.json has no ${image}`);
  return found;
}

/** A probability as the views write it: `90.9 %`. */
export const percent = (probability: number): string => `${(100 * probability).toFixed(1)} %`;

/** Parameters of the sample, counted from the shapes in its header. */
export function sampleParameters(): number {
  const bytes = readFileSync('media/sample/vitrine-sample/model.safetensors');
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, end)) as Record<string, { shape?: readonly number[] }>;
  const sizes = Object.values(header).map(
    ({ shape }) => shape?.reduce((product, side) => product * side, 1) ?? 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
