import assert from 'node:assert/strict';
import { families } from '../../src/architectures/registry';
import { exceptions, undecidable } from './exceptions';
import { linesFolder, readLines, rowOf, understand, understandAsFound, type Line } from './lines';

/** Rows with a test of their own, which knows more of them. */
const elsewhere = ['vit', 'clip', 'siglip'];
const rows = [...new Set(families.map(({ name, row = name }) => row))].filter(
  (row) => !elsewhere.includes(row),
);
const own = readLines(linesFolder).filter(
  ({ family, task, id }) =>
    rows.includes(rowOf(family) ?? '') &&
    ['classify', 'features'].includes(task) &&
    !undecidable.includes(id),
);

/** Heads of each group of attention blocks; undefined for models without attention. */
function headsOf({ config }: Line): readonly number[] | undefined {
  const stages = config['stages'] as
    readonly { readonly at?: string; readonly heads?: number | readonly number[] }[] | undefined;
  // LeViT's attention between the stages is a group of its own in the lines, named like their list.
  const inStages = stages?.filter(({ at }) => at !== 'stages');
  const heads = inStages?.flatMap((stage) => [stage.heads ?? []].flat().slice(0, 1));
  return heads && heads.length > 0 ? heads : undefined;
}

/**
 * Everything that a line and what is read from its header disagree on; empty where all is right.
 */
function problems(line: Line, config?: Line['config_json']): readonly string[] {
  const { recognition, params, buffers, macs } = understand(line, config);
  if (recognition.family === null) return [`${line.id}: ${recognition.reason}`];
  const heads = recognition.evidence['heads'];
  const expectedHeads = headsOf(line);
  const sureHeads = heads && !heads.assumed && expectedHeads ? [heads.value].flat() : undefined;
  const found = { row: recognition.family, params, buffers, ...macs };
  const expected = { row: rowOf(line.family), params: line.params, buffers: line.buffers, ...line.macs };
  const differences = Object.entries(expected)
    .filter(([key, value]) => found[key as keyof typeof found] !== value)
    .map(([key, value]) => `${key} ${found[key as keyof typeof found]} found, ${String(value)} expected`);
  if (sureHeads && new Set(sureHeads).size > 0 && !sameHeads(sureHeads, expectedHeads!))
    differences.push(`heads ${sureHeads.join(' ')} found, ${expectedHeads!.join(' ')} expected`);
  return differences.length > 0 ? [`${line.id}: ${differences.join('; ')}`] : [];
}

const withoutRepeats = (heads: readonly unknown[]): string =>
  heads.filter((each, group) => group === 0 || each !== heads[group - 1]).join(' ');

/**
 * One number stands for all groups, and one for the groups of a stage: DaViT's lines list each pair
 * of blocks.
 */
const sameHeads = (found: readonly unknown[], expected: readonly number[]): boolean =>
  expected.every((heads, group) => heads === found[found.length === 1 ? 0 : group]) ||
  withoutRepeats(found) === withoutRepeats(expected);

/**
 * The size that a line's model is published with; undefined where the line does not tell, as it was
 * described at another.
 */
function publishedSize({ id, image_size, config_json }: Line): string | undefined {
  const described = config_json?.['pretrained_cfg'] as
    { readonly input_size?: readonly number[] } | undefined;
  const size = described?.input_size?.slice(1).join('×');
  return id.includes('@') && size === image_size.join('×') ? undefined : size;
}

/**
 * An image size that is stated of bare names and shapes, not assumed, though the model is published
 * with another.
 */
function misstatedSize(line: Line): readonly string[] {
  const expected = publishedSize(line);
  const { recognition } = understandAsFound(line);
  const size = recognition.family === null ? undefined : recognition.evidence['image_size'];
  if (!expected || !size || size.assumed) return [];
  const found = [size.value].flat().join('×');
  return found === expected ? [] : [`${line.id}: ${found} ${size.source}, ${expected} expected`];
}

describe('published models by their headers', () => {
  const shares = new Map<string, { right: number; all: number }>();
  after(() => {
    for (const [library, { right, all }] of shares) console.log(`      ${library}: ${right} of ${all} right`);
  });

  for (const row of rows) {
    const lines = own.filter(({ family }) => rowOf(family) === row);
    for (const library of new Set(lines.map(({ id }) => id.split('/')[0]!))) {
      const all = lines.filter(({ id }) => id.startsWith(`${library}/`));
      const mine = all.filter(({ id }) => !(id in exceptions));
      it(`${row}, ${library}: ${mine.length} models with names and shapes alone`, () => {
        const wrong = mine.flatMap((line) => problems(line));
        const share = shares.get(library) ?? { right: 0, all: 0 };
        shares.set(library, {
          right: share.right + mine.length - wrong.length,
          all: share.all + mine.length,
        });
        assert.deepEqual(wrong, []);
      });
      const described = all.filter(({ config_json }) => config_json);
      if (described.length > 0)
        it(`${row}, ${library}: ${described.length} models with config.json beside them`, () =>
          assert.deepEqual(
            described.flatMap((line) => problems(line, line.config_json)),
            [],
          ));
    }
  }

  it('no image size is stated of names and shapes that are published with another', () =>
    assert.deepEqual(own.flatMap(misstatedSize), []));

  for (const line of readLines(linesFolder).filter(({ id }) => id in exceptions))
    it(`${line.id} cannot be told: ${exceptions[line.id]}`, () => assert.notDeepEqual(problems(line), []));
});
