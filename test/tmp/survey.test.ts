import { openCheckpoint } from '../../src/checkpoint/open';
import { understand } from '../../src/models/model';
import { checkpointPath, readCases } from '../support/cases';
import { scrambled } from '../support/scrambled';
describe('survey', () => {
  it('all', async () => {
    for (const golden of readCases().filter(({ format }) => format !== 'onnx')) {
      let line = '';
      try {
        const checkpoint = await openCheckpoint(checkpointPath(golden));
        const started = Date.now();
        const model = understand(scrambled(checkpoint), { assume: golden.assume, byStructure: true });
        const time = Date.now() - started;
        const r = model.recognition;
        line = r.family === null ? 'NONE' : `${r.label} ${model.counts.params === golden.params ? 'params=' : 'PARAMS'} others=${(model.structure?.others ?? []).length} ${time}ms`;
      } catch (error) {
        line = `ERROR ${String(error).slice(0, 100)}`;
      }
      console.log(`SURVEY ${golden.id} [${golden.family}] ${line}`);
    }
  });
});
