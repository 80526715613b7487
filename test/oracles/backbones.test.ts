import assert from 'node:assert/strict';
import { countParameters, recognise } from '../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines, rowOf, understand, type Line } from './lines';

/**
 * Rows whose models hold an image backbone beside a decoder, a detector's head or a language model.
 */
const rows = ['detr', 'yolos', 'owlvit', 'caption', 'vqa'];

/** Row of the backbone by the published name; plain transformers where none fits. */
const backbones: readonly (readonly [name: RegExp, row: string])[] = [
  [/grounding|swin/, 'swin'],
  [/detr|resnet|convnext/, 'cnn'],
  [/owl|git-/, 'clip'],
];

const all = readLines(linesFolder);
/** Words and patches together, without a head that answers: counted, and not run. */
const isJoint = ({ id }: Line): boolean => /vilt-b32-mlm/.test(id);
/** No weight tells dilation: wholes.test.ts says it. */
const isUntold = ({ id }: Line): boolean => /^original\/.*-dc5$/.test(id);
const lines = all
  .filter((line) => !isJoint(line) && !isUntold(line))
  .filter(({ family }) => rows.includes(rowOf(family) ?? ''));

/** Its products are counted for texts of stated lengths: lengths.test.ts holds those. */
const statesLengths = ({ config }: Line): boolean => 'text_length' in config || 'decoder_length' in config;

function found(line: Line): object {
  const { recognition, params, buffers, outputs, macs } = understand(line, line.config_json);
  if (recognition.family === null) return { reason: recognition.reason };
  if (recognition.whole)
    return { row: recognition.family, params, buffers, ...(!statesLengths(line) && { macs }) };
  assert.match(recognition.title, /, image backbone of /);
  assert(outputs.includes('tokens'), `${line.id}: no map or sequence comes out`);
  return { row: recognition.family, params, buffers };
}

describe('image backbones of published detectors and language models', () => {
  for (const line of lines)
    it(`${line.id}: it is known whole, or its backbone is; counts are exact`, () => {
      const row = backbones.find(([name]) => name.test(line.id))?.[1] ?? 'vit';
      const { params, buffers, macs } = line;
      const own = found(line);
      const { conv, linear, attention } = macs;
      const whole = { row: rowOf(line.family), params, buffers };
      const counted = { ...whole, macs: { conv, linear, attention } };
      const isWhole = understand(line, line.config_json).recognition.family === whole.row;
      assert.deepEqual(own, 'macs' in own ? counted : isWhole ? whole : { row, params, buffers });
    });

  const counted = all.filter(isJoint);
  for (const line of counted)
    it(`${line.id}: no image backbone, yet parameters and buffers are exact`, () => {
      const checkpoint = checkpointOf(line);
      const recognition = recognise(checkpoint);
      const { params, buffers } = countParameters(checkpoint, recognition);
      const expected = { family: null, params: line.params, buffers: line.buffers };
      assert.deepEqual({ family: recognition.family, params, buffers }, expected);
    });
});
