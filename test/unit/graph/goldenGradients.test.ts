// Derivatives of whole models: every golden case derives, or says why not; and those of a selection
// that holds every family and every operator as it is used agree with differences.
import assert from 'node:assert/strict';
import { gradientOf } from '../../../src/graph/operators';
import { GradientError, withGradients } from '../../../src/graph/rewrite/backward';
import { readCases, type Case } from '../../support/cases';
import { derivedOperators, everything, gradientErrors, openCase } from '../../support/goldenGradients';

/** Cases that have no derivative, and what it says of them. */
const without: Readonly<Record<string, RegExp>> = {
  'vit-onnx-fp16': /derivatives are written in F32; .* is F16/,
  'vit-onnx-int8': /no derivative of operator (?:DynamicQuantizeLinear|MatMulInteger) is known/,
  'vit-onnx-qdq-int8': /no derivative of operator (?:Dequantize|Quantize)Linear is known/,
};

/** All cases are compared in some minutes of processor time; else a selection. */
const isAll = process.env.VITRINE_GRADIENTS === 'all';

/**
 * Largest difference, in parts of what single elements add to it: the difference of numbers near 1
 * over a step of 1e-8 is right to about 1e-8, of deep networks to ten times that.
 */
const tolerance = 2e-6;

interface Derived {
  readonly golden: Case;
  /** Operators that a derivative goes through, with which of their inputs change. */
  readonly uses: readonly string[];
  readonly reason?: string;
}

async function derived(golden: Case): Promise<Derived> {
  const model = await openCase(golden);
  const uses: string[] = [];
  try {
    for (const part of model.parts) {
      const graph = part.graph();
      const asked = everything(graph);
      if (!asked) continue;
      uses.push(...derivedOperators(graph, asked));
      withGradients(graph, asked);
    }
  } catch (error) {
    if (!(error instanceof GradientError)) throw error;
    return { golden, uses, reason: error.message };
  }
  return { golden, uses };
}

const work = ({ macs }: Case): number => macs.conv + macs.linear + macs.attention;

/** The cheapest cases first, those alone that have an operator's use or a family of their own. */
function selected(all: readonly Derived[]): readonly Case[] {
  const seen = new Set<string>();
  return all
    .filter(({ reason }) => reason === undefined)
    .toSorted((a, b) => work(a.golden) - work(b.golden))
    .filter(({ golden, uses }) => {
      const own = [`family ${golden.family}`, ...uses].filter((each) => !seen.has(each));
      own.forEach((each) => seen.add(each));
      return own.length > 0;
    })
    .map(({ golden }) => golden);
}

describe('derivatives of golden cases', function () {
  this.timeout(isAll ? 3_600_000 : 600_000);
  const all: Derived[] = [];
  before(async () => {
    for (const golden of readCases('test/fixtures/cases')) all.push(await derived(golden));
  });

  it('every case derives but those that are named', () => {
    const reasons = new Map(
      all.flatMap(({ golden, reason }) => (reason === undefined ? [] : [[golden.id, reason] as const])),
    );
    assert.deepEqual([...reasons.keys()].toSorted(), Object.keys(without).toSorted());
    for (const [id, reason] of reasons) assert.match(reason, without[id] ?? /^$/, id);
  });

  it('no operator of a family is without a rule', () => {
    const operators = new Set(
      all
        .filter(({ golden }) => golden.format !== 'onnx')
        .flatMap(({ uses }) => uses.map((use) => use.split(' ')[0] ?? '')),
    );
    assert.ok(operators.size > 40);
    assert.deepEqual(
      [...operators].filter((op) => !gradientOf({ op, domain: '' })),
      [],
    );
  });

  it('derivatives by inputs and maps agree with differences along a random direction', async () => {
    const cases = isAll
      ? all.filter(({ reason }) => reason === undefined).map(({ golden }) => golden)
      : selected(all);
    const far: string[] = [];
    let compared = 0;
    for (const golden of cases)
      for (const error of await gradientErrors(golden)) {
        compared++;
        if (!(error <= tolerance)) far.push(`${golden.id}: ${error.toExponential(1)}`);
      }
    assert.ok(compared >= cases.length);
    assert.deepEqual(far, []);
  });
});
