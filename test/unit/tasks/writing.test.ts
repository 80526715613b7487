import assert from 'node:assert/strict';
import { generationsOf } from '../../../src/tasks/writing';
import { openAt } from '../../support/open';

const file = 'test/fixtures/cases/blip2-caption/model.safetensors';

describe('how a text is begun and ended', () => {
  it('is told by ids of tokens in a section that alone decides, whose lengths nobody reads', async () => {
    const model = await openAt(file);
    const config = model.checkpoint.sidecars.config as { readonly text_config: object };
    const listed = { ...config.text_config, max_length: 3, num_beams: 4, eos_token_id: 50, bos_token_id: 7 };
    const checkpoint = {
      ...model.checkpoint,
      sidecars: { ...model.checkpoint.sidecars, config: { ...config, text_config: listed } },
    };
    const writing = { prompt: 'bare', section: 'text_config' } as const;
    const { generations } = await generationsOf({ ...model, checkpoint }, writing, {}, undefined);
    const [{ prompt, settings } = assert.fail()] = generations;
    assert.deepEqual(prompt, [7]);
    // 20 new tokens behind the first, as transformers 5 writes them.
    assert.deepEqual([settings.maxLength, settings.beams, settings.end], [21, 1, [50]]);
  });
});
