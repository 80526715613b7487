import assert from 'node:assert/strict';
import { complexity } from '../../../src/analysis/complexity';
import { operatorsIn, operatorUses } from '../../../src/analysis/operatorUses';
import { everyModule } from '../../../src/analysis/moduleTree';
import type { ComplexityReport } from '../../../src/domain/report';
import type { Graph } from '../../../src/graph/graph';
import { sum } from '../../../src/domain/lists';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

async function counted(id: string): Promise<{ readonly graph: Graph; readonly report: ComplexityReport }> {
  const found = readCases().find((each) => each.id === id);
  assert.ok(found, id);
  const { assume, image_size: imageSize } = found;
  const model = await openAt(checkpointPath(found), { assume, imageSize });
  const graph = model.graph();
  assert.ok(model.imageSize);
  const tensors = model.checkpoint.selected.tensors;
  return { graph, report: complexity(graph, { imageSize: model.imageSize, tensors, counts: model.counts }) };
}

for (const id of ['vit-transformers-safetensors', 'swin-transformers-safetensors'])
  describe(`operators and modules of ${id}`, () => {
    it('an operator’s modules hold all of it, those with the most work first', async () => {
      const { graph, report } = await counted(id);
      for (const row of report.operators) {
        const uses = operatorUses(graph, row);
        assert.equal(sum(uses.map(({ count }) => count)), row.count, row.op);
        assert.equal(sum(uses.map(({ macs }) => macs)), row.macs, row.op);
        assert.equal(sum(uses.map(({ elements }) => elements)), row.elements, row.op);
        assert.deepEqual(
          uses.map(({ macs }) => macs),
          uses.map(({ macs }) => macs).toSorted((a, b) => b - a),
        );
      }
    });

    it('a module’s operators have its multiply-accumulates, and each lists the module', async () => {
      const { graph, report } = await counted(id);
      for (const { path, macs } of everyModule(report.modules)) {
        const rows = operatorsIn(graph, path);
        const total = sum(rows.map((row) => row.macs));
        assert.equal(total, macs.conv + macs.linear + macs.attention, path);
        for (const row of rows)
          assert.ok(
            operatorUses(graph, row).some(
              (use) => use.path === path || use.path.startsWith(path && `${path}.`),
            ),
            `${row.op} of ${path}`,
          );
      }
    });
  });
