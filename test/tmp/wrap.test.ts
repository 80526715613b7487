import { countParameters } from '../../src/architectures/recognise/counts';
import { buildGraph } from '../../src/architectures/recognise/graphs';
import { recognise } from '../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { unwrapNames } from '../../src/checkpoint/unwrap';
import { openCheckpoint } from '../../src/checkpoint/open';
import type { Tensor } from '../../src/checkpoint/tensors';
import { checkpointPath, readCases, type Case } from '../support/cases';
import { seeded } from '../support/random';
const letters = 'abcdefghijklmnopqrstuvwxyz';
type Random = () => number;
const word = (random: Random) => Array.from({ length: 3 + Math.floor(8 * random()) }, () => letters[Math.floor(26 * random())]).join('');
function attributePath(random: Random): string {
  const known = ['module', 'model', 'backbone', 'net', 'encoder', 'student', 'student.backbone', 'ema_model.module', 'module.momentum_encoder', 'online_encoder.net', 'base_model.model', '0', 'model.0', 'trunk', 'feature_extractor', 'vision_model', 'image_encoder', 'visual', 'body', '_orig_mod', 'module.base_encoder', 'encoder_q', 'learner.model', 'features', 'classifier', 'head', 'layers', 'blocks'];
  if (random() < 0.4) return known[Math.floor(random() * known.length)] + '.';
  return Array.from({ length: 1 + Math.floor(3 * random()) }, () => random() < 0.25 ? String(Math.floor(10 * random())) : word(random)).join('.') + '.';
}
function facts(checkpoint: Checkpoint, golden: Case): any {
  const recognition = recognise(checkpoint, { assume: golden.assume, imageSize: golden.image_size });
  if (recognition.family === null) return { reason: recognition.reason };
  const { params } = countParameters(checkpoint, recognition);
  const { graph } = buildGraph(checkpoint, recognition);
  return { label: recognition.label, task: recognition.task, params, nodes: graph.nodes.length, out: graph.outputs.map(({ means }) => means).join(), n: JSON.stringify(graph.nodes.map(({ op, name, inputs }) => [op, name, inputs])).length, w: recognition.warnings.length };
}
const seeds = (process.env.SEEDS ?? '101').split(',').map(Number);
describe('w', () => { it('all', async () => {
  for (const golden of readCases().filter(({ format }) => format !== 'onnx')) {
    const c = await openCheckpoint(checkpointPath(golden));
    const plain = JSON.stringify(facts(c, golden));
    for (const seed of seeds) {
      const random = seeded(seed * 1000 + golden.id.length + (golden.id.codePointAt(3) ?? 0));
      const path = attributePath(random);
      const infix = random() < 0.5 ? `_${word(random)}_mod` : word(random);
      const kinds: Record<string, (n: string) => string> = {
        [`path ${path}`]: (n) => path + n,
        [`lists ${infix}`]: (n) => n.replace(/\.(\d+)\.(?=[a-z])/g, `.$1.${infix}.`),
        [`both ${path} _orig_mod`]: (n) => path + n.replace(/\.(\d+)\.(?=[a-z])/g, `.$1._orig_mod.`),
        [`split ${path}head apart`]: (n) => (/^(head|fc|classifier)\b/.test(n) ? n : path + n),
      };
      for (const [kind, rename] of Object.entries(kinds)) {
        const own = c.selected.tensors.map((t) => ({ ...t, name: rename(t.name) })) as Tensor[];
        let found = '';
        try { const [selected] = unwrapNames(own); found = JSON.stringify(facts({ ...c, selected: selected!, stateDicts: [selected!] }, golden)); } catch (e) { found = String(e).slice(0, 150); }
        if (kind.startsWith('split')) { const a = JSON.parse(plain), b = found.startsWith('{') ? JSON.parse(found) : {}; if (a.label !== b.label || a.out !== b.out || a.params !== b.params) console.log('WRAP', golden.id, kind, found.slice(0, 160), '|', plain.slice(0, 120)); }
        else if (found !== plain) console.log('WRAP', golden.id, kind, found.slice(0, 200), '|', plain.slice(0, 160));
      }
    }
  }
}); });
