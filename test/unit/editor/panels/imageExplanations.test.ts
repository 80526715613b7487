import assert from 'node:assert/strict';
import type { Beside } from '../../../../src/domain/explanation';
import { ImageExplanations } from '../../../../src/editor/panels/imageExplanations';
import type { Explaining } from '../../../../src/useCases/explaining';

describe('explanations of a panel and of what is beside it', () => {
  const call = { signal: new AbortController().signal, progress: () => undefined };
  const question = { method: 'gradient', target: 0 };

  /** Explanations that note what was opened, and answer by what they are of. */
  function watched(fails: (about: Beside) => boolean = () => false) {
    const opened: Beside[] = [];
    const saved: string[] = [];
    const explanations = new ImageExplanations(
      async (_, about) => {
        opened.push(about);
        if (fails(about)) throw new Error('not opened');
        const explain = async () => ({ notes: [about.image ?? 'own'] });
        return { explain, file: async () => new Uint8Array(3) } as unknown as Explaining;
      },
      async (name, bytes) => saved.push(`${name}, ${bytes.length} bytes`) > 0,
    );
    return { opened, saved, api: explanations.api(), explanations };
  }

  it('the panel’s own stays open while images beside it change', async () => {
    const { api, opened } = watched();
    const said: string[] = [];
    for (const about of [{}, { image: 'a.jpg' }, {}, { image: 'b.jpg' }, {}, { image: 'b.jpg' }])
      said.push(...(await api.explain({}, question, about, call)).notes);
    assert.deepEqual(said, ['own', 'a.jpg', 'own', 'b.jpg', 'own', 'b.jpg']);
    assert.deepEqual(opened, [{}, { image: 'a.jpg' }, { image: 'b.jpg' }]);
  });

  it('one whose opening failed is opened anew, and all are after a change', async () => {
    let isBroken = true;
    const { api, opened, explanations } = watched(() => isBroken);
    await assert.rejects(api.explain({}, question, { image: 'a.jpg' }, call), /not opened/);
    isBroken = false;
    await api.explain({}, question, { image: 'a.jpg' }, call);
    await api.explain({}, question, { image: 'a.jpg' }, call);
    assert.equal(opened.length, 2);
    explanations.forget();
    await api.explain({}, question, { image: 'a.jpg' }, call);
    assert.equal(opened.length, 3);
  });

  it('arrays that are saved are those of the column that asks', async () => {
    const { api, opened, saved } = watched();
    await api.saveTensors({}, question, 'b.safetensors', { image: 'b.jpg' }, call);
    assert.deepEqual([opened, saved], [[{ image: 'b.jpg' }], ['b.safetensors, 3 bytes']]);
  });
});
