import assert from 'node:assert/strict';
import { join } from 'node:path';
import { countedMacs } from '../../../src/analysis/work';
import { reportOf } from '../../../src/analysis/report';
import { reportText } from '../../../src/analysis/reportText';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { sum } from '../../../src/domain/lists';
import type { ComplexityReport, Macs } from '../../../src/domain/report';
import { lengthsOf } from '../../../src/inference/allParts';
import { askedLengths } from '../../../src/models/lengths';
import { understand, type Model } from '../../../src/models/model';
import { inspection } from '../../../src/useCases/inspect';
import { reportJson, scale } from '../../../src/useCases/report';
import { checkpointOf, ownFolder, readLines } from '../../oracles/lines';
import { checkpointPath, readCases, type Case } from '../../support/cases';
import { openAt } from '../../support/open';

const nothing = new Float32Array();

const open = (golden: Case): Promise<Model> =>
  openAt(checkpointPath(golden), { assume: golden.assume, imageSize: golden.image_size });

/** Two towers by their published header: an image, texts, and what compares them. */
function clip(): Model {
  const line = readLines(ownFolder).find(({ id }) => id === 'original/clip/ViT-B-32');
  return line ? understand(checkpointOf(line)) : assert.fail('no line of CLIP');
}

/** Texts, tokens, frames and prompts of the tensors that a case's library was given. */
async function ownLengths({ folder }: Case): Promise<Readonly<Record<string, number>>> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const inputs = selected.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape, data: nothing }]);
  return lengthsOf(Object.fromEntries(inputs));
}

const sumOf = (report: ComplexityReport, kind: keyof Macs): number =>
  sum(report.parts.map(({ macs }) => macs[kind]));

/** Cases of whole models, and those that read words or frames. */
const wholes = readCases().filter(({ id }) =>
  /-(?:detect|segment|depth|caption|vqa|video|reconstruct)(?:-|$)/.test(id),
);

describe('complexity by part', () => {
  assert.ok(wholes.length >= 10);
  for (const golden of wholes)
    it(`${golden.id}: the parts sum up to the report, and to what its library counts`, async () => {
      const model = await open(golden);
      const lengths = askedLengths(model, await ownLengths(golden));
      assert.deepEqual(lengths.warnings, []);
      const report = reportOf(model, { lengths: lengths.lengths });
      const { macs, parts, modules } = report;
      assert.deepEqual(macs, golden.macs);
      assert.deepEqual(
        {
          conv: sumOf(report, 'conv'),
          linear: sumOf(report, 'linear'),
          attention: sumOf(report, 'attention'),
        },
        macs,
      );
      assert.equal(sum(parts.map(({ activationBytes }) => activationBytes)), report.activationBytes);
      assert.equal(sum(parts.map(({ attentionBytes }) => attentionBytes)), report.attentionBytes);
      assert.equal(Math.max(...parts.map((part) => part.peakActivationBytes)), report.peakActivationBytes);
      const [root] = modules;
      assert.deepEqual([root?.macs, root?.params], [macs, report.params]);
      const beside = modules.filter((row) => row.parent === 0 && row.part === undefined && !row.folded);
      const ofParts = sum(parts.map(({ params }) => params));
      const rest = parts.length > 1 ? sum(beside.map(({ params }) => params)) : 0;
      assert.equal(ofParts + rest, report.params);
      assert.deepEqual(
        modules.filter(({ part, path }) => part !== undefined && path === '').map(({ part }) => part),
        parts.length > 1 ? parts.map(({ name }) => name) : [],
      );
    });

  it('is in every format of a report, and in the command line’s JSON', () => {
    const model = clip();
    const report = reportOf(model, { lengths: { texts: 3, text: 7 } });
    const subject = { fileName: 'f', bytes: 1, tensors: 1, title: 'CLIP', version: '1' };
    const text = reportText('markdown', report, subject);
    assert.match(text, /texts 3, tokens of a text 7/);
    assert.match(text, /## Parts[^#]*\| image \|[^#]*\| text \|[^#]*\| score \|/);
    const [head = '', , image = ''] = reportText('csv', report, subject).split('\n');
    assert.ok(head.includes('lengths') && head.includes('part'));
    assert.ok(image.includes('texts=3 text=7'));
    const json = reportJson(report) as {
      readonly lengths: object;
      readonly parts: readonly { readonly part: string; readonly macs: Macs; readonly params: number }[];
      readonly modules: readonly { readonly path: string; readonly part?: string }[];
    };
    assert.deepEqual(json.lengths, { texts: 3, text: 7 });
    assert.deepEqual(
      json.parts.map(({ part }) => part),
      ['image', 'text', 'score'],
    );
    assert.equal(sum(json.parts.map(({ macs }) => countedMacs(macs))), countedMacs(report.macs));
    const names = json.modules.map(({ part, path }) => `${part ?? ''} ${path}`);
    assert.equal(new Set(names).size, names.length, 'each module once');
  });
});

describe('lengths', () => {
  it('a text tower grows with texts, not with the image', () => {
    const model = clip();
    const [one, four] = [1, 4].map((texts) => reportOf(model, { lengths: { texts, text: 5 } }));
    const macsOf = (report: ComplexityReport | undefined, name: string): number => {
      const part = report?.parts.find((each) => each.name === name);
      return part ? countedMacs(part.macs) : assert.fail(name);
    };
    assert.equal(macsOf(four, 'text'), 4 * macsOf(one, 'text'));
    assert.equal(macsOf(four, 'score'), 4 * macsOf(one, 'score'));
    assert.equal(macsOf(four, 'image'), macsOf(one, 'image'));
    const curve = scale(model, { texts: 4, text: 5 })?.points.find(
      ({ imageSize }) => imageSize.join() === model.imageSize?.join(),
    );
    assert.deepEqual(curve?.macs, four?.macs);
  });

  it('are the model’s own if nobody asks, and are printed', () => {
    const model = clip();
    const { json, text } = inspection(model);
    const context = Number((json['config'] as Record<string, unknown>)['context']);
    assert.deepEqual(json['lengths'], { texts: 1, text: context });
    assert.match(text, new RegExp(`MACs \\(.*texts 1, text ${context}\\)`));
    const asked = inspection(model, { text: 2 });
    assert.deepEqual(asked.json['lengths'], { texts: 1, text: 2 });
    assert.deepEqual(asked.json['macs'], reportOf(model, { lengths: { text: 2 } }).macs);
    assert.match(asked.text, /texts 1, text 2\)/);
  });

  it('are refused with the bounds if the tables have no such row', () => {
    const model = clip();
    const context = ownContext(model);
    assert.throws(
      () => reportOf(model, { lengths: { text: context + 1 } }),
      new RegExp(`text=${context + 1} found; 1 to ${context} is needed`),
    );
    assert.throws(() => reportOf(model, { lengths: { texts: 0 } }), /texts=0 found; 1 to/);
  });

  it('that a model has no use for are told, and change nothing', async () => {
    const golden = readCases().find(({ id }) => id === 'vit-transformers-safetensors');
    assert.ok(golden);
    const model = await open(golden);
    const { json, text } = inspection(model, { frames: 8 });
    assert.ok((json['warnings'] as readonly string[]).some((each) => /frames=8 changes nothing/.test(each)));
    assert.match(text, /warning: frames=8 changes nothing: this model reads images alone/);
    assert.deepEqual(json['macs'], golden.macs);
  });
});

const ownContext = ({ recognition }: Model): number =>
  recognition.family === null ? 0 : (recognition.lengths?.['text'] ?? 0);
