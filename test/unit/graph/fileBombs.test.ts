// Small .onnx files that ask for work without end, taken from disk to their first view in a process
// that is measured. Each is answered by a budget, or in a time that grows with its length.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Trials, type Trial } from '../../fuzz/watched';
import { chain, nestedFunctions, onnxFile, type WrittenNode } from '../../support/onnxFiles';

/**
 * Above the idle process: 1 s of the processor and 128 MB. Seconds count half as much again,
 * because the time of a processor grows so far when its other threads are busy.
 */
const most = { milliseconds: 1500, bytes: 128e6 };
/** As long as the longest published exports. */
const long = 20_000;

const call = (depth: number): readonly WrittenNode[] => [
  { op: `f${depth - 1}`, inputs: ['x'], outputs: ['y'], domain: 'own' },
];
const ofFunctions = (depth: number, calls: number): Buffer =>
  onnxFile({ nodes: call(depth), functions: nestedFunctions(depth, calls) });
const chainOf = (of: (from: string, to: string, index: number) => WrittenNode): Buffer =>
  onnxFile({ nodes: chain(long, of), weights: [{ name: 'w', shape: [3, 3, 1, 1] }] });
const relu = (from: string, to: string, name = ''): WrittenNode => ({
  op: 'Relu',
  inputs: [from],
  outputs: [to],
  name,
});

/** Softmaxes between products, all behind a long chain. */
function farAttention(layers: number): Buffer {
  const front = chain(long - 4 * layers, (from, to) => relu(from, to === 'y' ? 'map' : to));
  const attention = Array.from({ length: layers }, (_, layer): readonly WrittenNode[] => [
    { op: 'Transpose', inputs: ['map'], outputs: [`k${layer}`], ints: { perm: [0, 1, 3, 2] } },
    { op: 'MatMul', inputs: ['map', `k${layer}`], outputs: [`s${layer}`] },
    { op: 'Softmax', inputs: [`s${layer}`], outputs: [`p${layer}`] },
    { op: 'MatMul', inputs: [`p${layer}`, 'map'], outputs: [layer === 0 ? 'y' : `o${layer}`] },
  ]).flat();
  const others = Array.from({ length: layers - 1 }, (_, layer) => `o${layer + 1}`);
  return onnxFile({ nodes: [...front, ...attention], outputs: ['y', ...others] });
}

/** Numbers that double with every operator, or stay many while there are many operators. */
function folding(doublings: number, additions: number): Buffer {
  const doubled = Array.from({ length: doublings }, (_, index) => ({
    op: 'Concat',
    inputs: [`v${index}`, `v${index}`],
    outputs: [`v${index + 1}`],
    ints: { axis: 0 },
  }));
  const added = Array.from({ length: additions }, (_, index) => ({
    op: 'Add',
    inputs: [`v${doublings + index}`, `v${doublings + index}`],
    outputs: [`v${doublings + index + 1}`],
  }));
  const shape = { op: 'Shape', inputs: ['x'], outputs: ['v0'] };
  const end = { op: 'Reshape', inputs: ['x', `v${doublings + additions}`], outputs: ['y'] };
  return onnxFile({ nodes: [shape, ...doubled, ...added, end] });
}

/** A name of 40 modules, each one of two. */
const deepName = (index: number): string =>
  `/${Array.from({ length: 40 }, (_, level) => `a${level}.${(index >> (level % 14)) & 1}`).join('/')}/Relu`;

const bombs: Readonly<Record<string, { readonly file: () => Buffer; readonly says?: RegExp }>> = {
  'functions that come to 2¹⁶ operators': {
    file: () => ofFunctions(16, 2),
    says: /local functions come to \d+ operators where they are called; at most 50000/,
  },
  'functions that come to 10¹⁴ operators': {
    file: () => ofFunctions(14, 10),
    says: /local functions come to \d+ operators/,
  },
  'functions 60 deep': { file: () => ofFunctions(60, 1), says: /nested more than 32 deep/ },
  'functions whose names repeat': {
    file: () =>
      onnxFile({
        nodes: call(14),
        functions: nestedFunctions(14, 2).map((own) => ({
          ...own,
          nodes: own.nodes.map((each) => ({ ...each, name: 'n'.repeat(300) })),
        })),
      }),
    says: /names of what local functions come to have more than 5000000 characters/,
  },
  'a chain of operators of one name': { file: () => chainOf((from, to) => relu(from, to, 'same')) },
  'a chain of convolutions': {
    file: () => chainOf((from, to) => ({ op: 'Conv', inputs: [from, 'w'], outputs: [to] })),
  },
  'a chain of sums of the image': {
    file: () => chainOf((from, to) => ({ op: 'Add', inputs: [from, 'x'], outputs: [to] })),
  },
  'a chain of softmaxes': {
    file: () => chainOf((from, to) => ({ op: 'Softmax', inputs: [from], outputs: [to] })),
    says: /20000 softmaxes: attention is looked for among 1024 at most/,
  },
  'sums of a value with itself before a softmax': {
    file: () =>
      chainOf((from, to, index) => {
        const op = index % 20 === 0 ? 'Softmax' : index % 2 === 1 ? 'MatMul' : 'Add';
        return { op, inputs: op === 'Softmax' ? [from] : [from, from], outputs: [to] };
      }),
    says: /attention lies behind more than 200000 operators/,
  },
  'attention far behind the image': {
    file: () => farAttention(1000),
    says: /attention lies behind more than 200000 operators/,
  },
  'constants that double with every operator': { file: () => folding(60, 0), says: /is not constant/ },
  'constants of 4096 numbers in every operator': { file: () => folding(10, long), says: /is not constant/ },
};

describe('bombs among .onnx files', function () {
  this.timeout(120_000);
  const trials = new Trials();
  let room: string;

  before(() => void (room = mkdtempSync(join(tmpdir(), 'vitrine-onnx-bombs-'))));
  after(async () => {
    await trials.stop();
    rmSync(room, { recursive: true, force: true });
  });

  for (const [about, { file, says }] of Object.entries(bombs))
    it(about, async () => {
      const path = join(room, 'model.onnx');
      writeFileSync(path, file());
      await verify(path, says);
    });

  /** A cost is believed when it is met three times: the machine does other things, too. */
  async function verify(path: string, says: RegExp | undefined): Promise<void> {
    const isDear = ({ milliseconds, growthBytes }: Trial): boolean =>
      milliseconds > most.milliseconds || growthBytes > most.bytes;
    let trial = await trials.try(path, true);
    for (let again = 0; again < 2 && isDear(trial); again++) trial = await trials.try(path, true);
    const { outcome, text, milliseconds, growthBytes } = trial;
    assert.equal(outcome, 'opens', text);
    if (says) assert.match(text, says);
    assert.ok(milliseconds <= most.milliseconds, `${Math.round(milliseconds)} ms of the processor`);
    assert.ok(growthBytes <= most.bytes, `${Math.round(growthBytes / 1e6)} MB`);
  }

  it('does not count modules within modules twice at every level', async () => {
    const path = join(room, 'model.onnx');
    writeFileSync(
      path,
      onnxFile({ nodes: chain(300, (from, to, index) => relu(from, to, deepName(index))) }),
    );
    const { outcome, text, milliseconds } = await trials.try(path);
    assert.equal(outcome, 'opens', text);
    // The whole report of a tree of 12 000 places; without a limit rows double 40 times.
    assert.ok(milliseconds <= 10_000, `${Math.round(milliseconds)} ms of the processor`);
  });
});
