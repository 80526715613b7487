import assert from 'node:assert/strict';
import { recognise } from '../../../src/architectures/recognise/recognise';
import { checkpointOf, ownFolder, readLines } from '../../oracles/lines';

/** Stages that the hyper-parameter leaves out: the convolutional first one has no MLP. */
const fewer: Readonly<Record<string, readonly string[]>> = { mlp_ratio: ['tiny_vit'] };

/** One published model of every family, with its hyper-parameters. */
function onePerFamily() {
  const found = new Map<string, Readonly<Record<string, unknown>>>();
  for (const line of readLines(ownFolder)) {
    const recognition = recognise(checkpointOf(line), { imageSize: line.image_size });
    if (recognition.family === null || found.has(recognition.architecture)) continue;
    // What reads words alone has neither.
    if (!recognition.imageSize) continue;
    const evidence = Object.entries(recognition.evidence).map(([key, { value }]) => [key, value] as const);
    found.set(recognition.architecture, Object.fromEntries(evidence));
  }
  return found;
}

describe('words of hyper-parameters', () => {
  const families = [...onePerFamily()];

  it('name depth, classes and image size alike in every family', () => {
    assert.ok(families.length > 45, `${families.length} families`);
    const without = families.flatMap(([name, evidence]) => {
      const missing = ['depth', 'classes', 'image_size'].filter((key) => !(key in evidence));
      return missing.length > 0 ? [`${name}: ${missing.join(', ')}`] : [];
    });
    assert.deepEqual(without, []);
  });

  for (const key of ['dim', 'mlp_ratio', 'reduction'])
    it(`give ${key} stage by stage where there are stages, and one number elsewhere`, () => {
      const length = (value: unknown): number => (Array.isArray(value) ? value.length : 0);
      const odd = families.filter(
        ([name, evidence]) =>
          key in evidence &&
          Array.isArray(evidence['depth']) &&
          length(evidence[key]) !== evidence['depth'].length - (fewer[key]?.includes(name) ? 1 : 0),
      );
      assert.deepEqual(
        odd.map(([name, evidence]) => [name, evidence['depth'], evidence[key]]),
        [],
      );
    });

  it('write the side of a square patch as one number', () => {
    const pairs = families.filter(([, { patch }]) => {
      return Array.isArray(patch) && patch.length === 2 && patch[0] === patch[1];
    });
    assert.deepEqual(pairs, []);
  });
});
