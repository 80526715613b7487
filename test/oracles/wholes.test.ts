import assert from 'node:assert/strict';
import { linesFolder, macsOfTexts, readLines, rowOf, understand, type Line } from './lines';

/** Labels of whole models that are counted whole. */
const labels = [
  'segformer',
  'beit',
  'upernet',
  'maskformer',
  'mask2former',
  'dpt',
  'depth_anything',
  'depth-anything',
  'glpn',
  'sam',
];
const detectors = [
  'detr',
  'conditional_detr',
  'dab-detr',
  'deformable_detr',
  'rt_detr',
  'rt_detr_v2',
  'yolos',
  'owlvit',
  'owlv2',
];
const all = readLines(linesFolder);
const lines = all.filter(({ family, task }) =>
  task === 'detect'
    ? detectors.includes(family)
    : (task === 'segment' || task === 'depth') && labels.includes(family),
);

/** What neither names nor shapes of some lines tell, and their config.json does. */
const untold: readonly (readonly [id: RegExp, assume: Readonly<Record<string, boolean>>])[] = [
  [/-dc5$/, { dilation: true }],
];

/** What a line and what is read of its header disagree on, with its config.json and without. */
function problems(line: Line, config?: Line['config_json']): readonly string[] {
  const assume = config ? undefined : untold.find(([id]) => id.test(line.id))?.[1];
  const { recognition, params, buffers, macs } = understand(line, config, assume);
  if (recognition.family === null) return [recognition.reason];
  const found = { row: recognition.family, params, buffers, ...macs };
  const expected = { row: rowOf(line.family), params: line.params, buffers: line.buffers, ...line.macs };
  const notRun = recognition.share?.notRun ?? [];
  return [
    ...Object.entries(expected)
      .filter(([key, value]) => found[key as keyof typeof found] !== value)
      .map(([key, value]) => `${key} ${found[key as keyof typeof found]} found, ${String(value)} expected`),
    ...notRun.map((name) => `${name} is not run`),
    ...(recognition.whole ? [] : ['its backbone alone is run']),
  ];
}

describe('published detectors, segmenters and depth models, whole', () => {
  for (const line of lines)
    it(`${line.id}: counts, by its config and by names and shapes alone`, () => {
      assert.deepEqual([problems(line, line.config_json), problems(line)], [[], []]);
    });
});

describe('published detectors that read a text, whole', () => {
  for (const line of all.filter(({ family }) => family === 'grounding_dino'))
    it(`${line.id}: counts, for the eight tokens that it was counted for`, () => {
      const { recognition, params, buffers } = understand(line, line.config_json);
      assert.deepEqual([params, buffers], [line.params, line.buffers]);
      assert.equal(recognition.family, 'detr');
      assert.deepEqual(macsOfTexts(line, { texts: 1, text: 8 }), line.macs);
    });
});

/** Masked autoencoders that hide patches: with their decoder and the encoder on what is seen. */
const isMasked = ({ family, config_json: config = {} }: Line): boolean =>
  family === 'mae' && Number(config['mask_ratio'] ?? 0) > 0;

describe('published masked autoencoders, whole', () => {
  for (const line of all.filter(isMasked))
    it(`${line.id}: counts, by its config and by names and shapes alone`, () => {
      assert.deepEqual([problems(line, line.config_json), problems(line)], [[], []]);
    });
});

describe('published models that read words alone', () => {
  for (const line of all.filter(({ task }) => task === 'translate'))
    it(`${line.id}: parameters, by its config and by names and shapes alone`, () => {
      assert.deepEqual([butMacs(line, line.config_json), butMacs(line)], [[], []]);
    });
});

/** What differs but MACs, which are counted at the lengths of a line elsewhere. */
const butMacs = (line: Line, config?: Line['config_json']): readonly string[] =>
  problems(line, config).filter((problem) => !/^(?:conv|linear|attention) /.test(problem));

/** What differs of a model of clips, which runs by itself. */
const ofClips = (line: Line, config?: Line['config_json']): readonly string[] =>
  problems(line, config).filter((problem) => problem !== 'its backbone alone is run');

describe('published models of clips', () => {
  for (const line of all.filter(({ family, task }) => rowOf(family) === 'video' && task === 'video'))
    it(`${line.id}: counts, by its config and by names and shapes alone`, () => {
      assert.deepEqual([ofClips(line, line.config_json), ofClips(line)], [[], []]);
    });
});
