import assert from 'node:assert/strict';
import { countAllMacs } from '../../src/analysis/complexity';
import { askedLengths } from '../../src/models/lengths';
import { graphsOfParts, understand } from '../../src/models/model';
import { checkpointOf, linesFolder, readLines, type Line } from './lines';

/** Families that read words beside the image, and are counted with all their parts. */
const families = [
  'clip',
  'siglip',
  'chinese-clip',
  'blip',
  'git',
  'trocr',
  'vilt',
  'owlvit',
  'owlv2',
  'grounding_dino',
  'bart',
  'marian',
  't5',
];
const tasks = ['zero-shot', 'caption', 'vqa', 'detect', 'translate'];
const lines = readLines(linesFolder).filter(
  ({ family, task }) => families.includes(family) && tasks.includes(task),
);

/** The lengths that a line states, as `--lengths` takes them. */
function stated({ config }: Line): Readonly<Record<string, number>> {
  const { text_length: text, decoder_length: decoder } = config;
  return {
    ...(typeof text === 'number' && { text }),
    ...(typeof decoder === 'number' && { decoder }),
  };
}

describe('published models of images and words, at the lengths that their lines state', () => {
  assert.ok(lines.length > 0);
  for (const line of lines)
    it(`${line.id}: MACs of all parts`, () => {
      const { image_size: size } = line;
      // Models that read no images say 0 × 0.
      const model = understand(checkpointOf(line, line.config_json)).at(size.includes(0) ? undefined : size);
      const { lengths, warnings } = askedLengths(model, stated(line));
      const { conv, linear, attention } = countAllMacs(graphsOfParts(model, { lengths }));
      assert.deepEqual([{ conv, linear, attention }, warnings], [line.macs, []]);
    });
});
