import assert from 'node:assert/strict';
import { operatorsIn, operatorUses } from '../../../src/analysis/operatorUses';
import { everyModule } from '../../../src/analysis/moduleTree';
import { reportOf } from '../../../src/analysis/report';
import type { ComplexityReport } from '../../../src/domain/report';
import { namedGraphs, type NamedGraph } from '../../../src/models/model';
import { sum } from '../../../src/domain/lists';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

interface Counted {
  readonly parts: readonly NamedGraph[];
  readonly report: ComplexityReport;
}

async function counted(id: string): Promise<Counted> {
  const found = readCases().find((each) => each.id === id);
  assert.ok(found, id);
  const { assume, image_size: imageSize } = found;
  const model = await openAt(checkpointPath(found), { assume, imageSize });
  return { parts: namedGraphs(model), report: reportOf(model) };
}

const ids = ['vit-transformers-safetensors', 'swin-transformers-safetensors', 'sam-points-and-box-segment'];
for (const id of ids)
  describe(`operators and modules of ${id}`, () => {
    it('an operator’s modules hold all of it, those with the most work first', async () => {
      const { parts, report } = await counted(id);
      for (const row of report.operators) {
        const uses = operatorUses(parts, row);
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
      const { parts, report } = await counted(id);
      for (const { path, part, macs } of everyModule(report.modules)) {
        const graphs = parts.filter(({ name }) => part === undefined || name === part);
        const rows = operatorsIn(
          graphs.map(({ graph }) => graph),
          path,
        );
        const total = sum(rows.map((row) => row.macs));
        assert.equal(total, macs.conv + macs.linear + macs.attention, path);
        for (const row of rows)
          assert.ok(
            operatorUses(parts, row).some(
              (use) =>
                (part === undefined || use.part === part) &&
                (use.path === path || use.path.startsWith(path && `${path}.`)),
            ),
            `${row.op} of ${path}`,
          );
      }
    });
  });
