import { openCheckpoint } from '../../src/checkpoint/open';
import { understand } from '../../src/models/model';
import { checkpointPath, readCases } from '../support/cases';
import { scrambled } from '../support/scrambled';
describe('dbg', () => {
  it('all', async () => {
    for (const id of ['swin-small-map-torchvision-pth', 'swin-torchvision-pth', 'vitamin-timm-safetensors']) {
      const golden = readCases().find((each) => each.id === id)!;
      const c = await openCheckpoint(checkpointPath(golden));
      const plain = understand(c, { assume: golden.assume });
      const m = understand(scrambled(c), { assume: golden.assume, byStructure: true });
      const r = m.recognition, p = plain.recognition;
      if (r.family === null || p.family === null) continue;
      console.log('DBG', id, m.structure!.layout, r.dialect, golden.image_size, JSON.stringify(golden.assume));
      const names = new Map(m.structure!.mapping.map(({ as }, i) => [i, as]));
      c.selected.tensors.forEach(({ name, shape }, i) => { if (names.get(i) !== name) console.log('DBG  ', name, names.get(i), shape.join()); });
      for (const k of Object.keys(r.evidence)) if (String(r.evidence[k]!.value) !== String(p.evidence[k]?.value)) console.log('DBG', k, r.evidence[k]!.value, p.evidence[k]?.value);
      console.log('DBG', r.imageSize, p.imageSize);
    }
  });
});
