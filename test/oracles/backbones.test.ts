import assert from 'node:assert/strict';
import { countParameters, recognise } from '../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines, rowOf, understand, type Line } from './lines';

/**
 * Rows whose models hold an image backbone beside a decoder, a detector's head or a language model.
 */
const rows = ['detr', 'yolos', 'owlvit', 'segmentation', 'depth', 'caption', 'vqa'];

/** Row of the backbone by the published name; plain transformers where none fits. */
const backbones: readonly (readonly [name: RegExp, row: string])[] = [
  [/grounding|swin/, 'swin'],
  [/detr|resnet|convnext/, 'cnn'],
  [/glpn/, 'segformer'],
  [/hybrid/, 'vit-hybrid'],
  [/owl|git-/, 'clip'],
  [/beit/, 'beit'],
];

const all = readLines(linesFolder);
/** Models that read words and patches together: counted, and not run without their text. */
const isJoint = ({ id }: Line): boolean => /vilt/.test(id);
const lines = all
  .filter((line) => !isJoint(line))
  .filter(
    ({ family, task }) => rows.includes(rowOf(family) ?? '') || (family === 'beit' && task === 'segment'),
  );

function found(line: Line): object {
  const { recognition, params, buffers, outputs } = understand(line);
  if (recognition.family === null) return { reason: recognition.reason };
  assert.match(recognition.title, /, image backbone of /);
  assert(outputs.includes('tokens'), `${line.id}: no map or sequence comes out`);
  return { row: recognition.family, params, buffers };
}

describe('image backbones of published detectors, segmenters, depth and language models', () => {
  for (const line of lines)
    it(`${line.id}: its backbone is known, parameters and buffers of the whole are exact`, () => {
      const row = backbones.find(([name]) => name.test(line.id))?.[1] ?? 'vit';
      assert.deepEqual(found(line), { row, params: line.params, buffers: line.buffers });
    });

  const counted = all.filter(
    (line) => isJoint(line) || (rowOf(line.family) === 'video' && line.task === 'video'),
  );
  for (const line of counted)
    it(`${line.id}: no image backbone, yet parameters and buffers are exact`, () => {
      const checkpoint = checkpointOf(line);
      const recognition = recognise(checkpoint);
      const { params, buffers } = countParameters(checkpoint, recognition);
      const expected = { family: null, params: line.params, buffers: line.buffers };
      assert.deepEqual({ family: recognition.family, params, buffers }, expected);
    });
});
