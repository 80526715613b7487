import assert from 'node:assert/strict';
import { matchesOf } from '../../../src/architectures/recognise/structure/match';
import { layoutsOf } from '../../../src/architectures/recognise/structure/layouts';
import { twins } from '../../../src/architectures/recognise/structure/twins';
import { parseMapping } from '../../../src/architectures/recognise/structure/mapping';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { understand, type Model } from '../../../src/models/model';
import { checkpointPath, readCases } from '../../support/cases';
import { seeded } from '../../support/random';
import { scrambled, type Words } from '../../support/scrambled';

const golden = (id: string) => readCases().find((each) => each.id === id) ?? assert.fail(id);

async function opened(id: string, words?: Words): Promise<Checkpoint> {
  return scrambled(await openCheckpoint(checkpointPath(golden(id))), words);
}

const readAs = ({ structure }: Model): ReadonlyMap<string, string> =>
  new Map(structure?.mapping.map(({ name, as }) => [name, as]));

describe('a layout', () => {
  const [inModules, byName] = layoutsOf([
    'a network',
    [
      'token:11*',
      ['blocks.#', [['@', '.norm.weight:d', '.fc.weight:*d', '.fc.bias:*']]],
      ['?head.', [['@', 'weight:**', 'bias:*']]],
    ],
    [
      ['1', 3],
      ['0', 1],
    ],
  ]);
  const block = [[8], [16, 8], [16]];

  it('gives shapes names in the order of the modules', () => {
    const shapes = [[1, 1, 8], ...block, ...block, [5, 8], [5]];
    const [match, ...others] = matchesOf(inModules, shapes);
    assert.deepEqual(match?.names, [
      'token',
      'blocks.0.norm.weight',
      'blocks.0.fc.weight',
      'blocks.0.fc.bias',
      'blocks.1.norm.weight',
      'blocks.1.fc.weight',
      'blocks.1.fc.bias',
      'head.weight',
      'head.bias',
    ]);
    assert.equal(match?.published, 3);
    assert.deepEqual(others, []);
  });

  it('counts blocks as names are sorted: 10 before 2', () => {
    const shapes = [...Array.from({ length: 11 }, () => [[16], [16, 8], [8]]).flat(), [1, 1, 8]];
    const names = matchesOf(byName, shapes)[0]?.names ?? [];
    assert.deepEqual(
      names.filter((name) => name.endsWith('norm.weight')).map((name) => name.split('.')[1]),
      ['0', '1', '10', '2', '3', '4', '5', '6', '7', '8', '9'],
    );
  });

  for (const [what, shapes] of [
    ['a bias of another length than its weight', [[1, 1, 8], [8], [16, 8], [12]]],
    ['a matrix that does not take the width', [[1, 1, 8], [8], [16, 9], [16]]],
    ['a token of several rows', [[1, 2, 8], ...block]],
    ['a tensor more', [[1, 1, 8], ...block, [8]]],
    ['no block', [[1, 1, 8]]],
  ] as const)
    it(`is not that of ${what}`, () => assert.deepEqual(matchesOf(inModules, shapes), []));

  it('keeps members where models have them', () => {
    const [stages] = layoutsOf([
      'stages',
      [
        [
          'stages.#',
          [
            ['@f', ['.blocks.#', [['@', '.norm.weight:d']]]],
            ['@n', '.reduce.weight:**', ['.blocks.#', [['@', '.norm.weight:d']]]],
          ],
        ],
      ],
      [['', 1]],
    ]);
    const found = matchesOf(stages, [[4], [4], [8, 4], [8]]);
    assert.deepEqual(
      found.map(({ names }) => names),
      [
        [
          'stages.0.blocks.0.norm.weight',
          'stages.0.blocks.1.norm.weight',
          'stages.1.reduce.weight',
          'stages.1.blocks.0.norm.weight',
        ],
      ],
    );
  });

  it('ends with any member if somebody says so', () => {
    const [ended] = layoutsOf([
      'stages',
      [
        [
          'blocks.#',
          [
            ['@', '.norm.weight:d'],
            ['@nm', '.reduce.weight:**'],
          ],
        ],
      ],
      [['', 1]],
    ]);
    const shapes = [[4], [8, 4]];
    assert.deepEqual(matchesOf(ended, shapes), []);
    assert.deepEqual(
      matchesOf(ended, shapes, 'any').map(({ names }) => names),
      [['blocks.0.norm.weight', 'blocks.1.reduce.weight']],
    );
  });

  it('tells two tables of one name by their axes', () => {
    const [tables] = layoutsOf([
      'tables',
      ['?pos:1++', '?pos:1***', ['blocks.#', [['@', '.norm.weight:d']]]],
      [
        ['10', 1],
        ['01', 1],
      ],
    ]);
    for (const table of [
      [1, 9, 4],
      [1, 4, 3, 3],
    ])
      assert.equal(matchesOf(tables, [table, [4]]).length, 1);
  });
});

describe('a file whose names say nothing', () => {
  it('is not known, not counted and not run unless somebody says so', async () => {
    const model = understand(await opened('vit-timm-safetensors'));
    assert.equal(model.recognition.family, null);
    assert.deepEqual(model.parts, []);
    assert.throws(() => model.graph(), /confirm it in the inspector, or use --by-structure/);
    assert.match(model.offered?.()?.title ?? '', /Vision Transformer/);
  });

  it('is read by structure with a warning', async () => {
    const model = understand(await opened('vit-timm-safetensors'), { byStructure: true });
    assert(model.recognition.family !== null);
    assert.match(model.recognition.warnings[0] ?? '', /^Read by structure, check: /);
    assert.match(model.recognition.warnings.join('\n'), /order of the file alone.*norm1\.weight/);
    assert.equal(model.counts.params, golden('vit-timm-safetensors').params);
  });

  it('keeps its names for the numbers and dots in them', async () => {
    const checkpoint = await opened('swin-transformers-safetensors', 'dotted');
    const model = understand(checkpoint, { byStructure: true });
    assert.equal(model.counts.params, golden('swin-transformers-safetensors').params);
  });

  it('says which other models the shapes fit', async () => {
    const model = understand(await opened('dinov3-timm-safetensors'), { byStructure: true });
    assert(model.recognition.family !== null);
    assert.match(model.recognition.warnings.join('\n'), /Other readings fit the same shapes: .*DINOv3/);
  });

  it('is read as a model that has what the user assumes', async () => {
    const settings = { byStructure: true, assume: { rope_temperature: 100 } };
    const { recognition } = understand(await opened('dinov3-timm-safetensors'), settings);
    assert(recognition.family !== null && recognition.assumable.includes('rope_temperature'));
  });

  it('offers what has the same shapes and computes otherwise', () => {
    const [florence, poolFormer] = twins;
    const name = 'stages.1.blocks.0.1.attn.qkv.weight';
    assert.equal(name.replace(florence!.of, florence!.to), 'stages.1.blocks.0.channel_block.attn.qkv.weight');
    assert.equal('head.norm.bias'.replace(poolFormer!.of, poolFormer!.to), 'norm.bias');
  });

  for (const [id, words] of [
    ['davit-florence-timm-safetensors', 'as in Florence-2'],
    ['poolformer-original-pth', 'as the first PoolFormer has it'],
  ] as const)
    it(`${id}: another reading has its own words`, async () => {
      const { recognition } = understand(await opened(id), { byStructure: true });
      assert(recognition.family !== null);
      assert.ok(recognition.warnings.some((warning) => warning.includes(words)));
    });

  it('is not guessed at if its order says nothing either', async () => {
    const checkpoint = await opened('vit-timm-safetensors');
    const random = seeded(3);
    const places = new Map(checkpoint.selected.tensors.map((tensor) => [tensor, random()]));
    const tensors = checkpoint.selected.tensors.toSorted(
      (left, right) => (places.get(left) ?? 0) - (places.get(right) ?? 0),
    );
    const shuffled = { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
    const model = understand(shuffled, { byStructure: true });
    assert.equal(model.recognition.family, null);
    assert.equal(model.offered?.(), undefined);
  });

  it('known by its names, is read by them', async () => {
    const checkpoint = await openCheckpoint(checkpointPath(golden('vit-timm-safetensors')));
    assert.equal(understand(checkpoint, { byStructure: true }).structure, undefined);
  });
});

/** A file's tensors by what is left of their names, in an order of its writer's own. */
function inOrder(checkpoint: Checkpoint, names: readonly string[]): Checkpoint {
  const tensors = names.flatMap((name) =>
    checkpoint.selected.tensors.filter((tensor) => tensor.name === name),
  );
  assert.equal(tensors.length, checkpoint.selected.tensors.length);
  return { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
}

describe('a transformer that somebody wrote', () => {
  const pair = (name: string): readonly string[] => [`${name}.weight`, `${name}.bias`];
  const written: readonly (readonly [what: string, id: string, names: readonly string[]])[] = [
    [
      'with positions first, attention before both norms',
      'vit-timm-safetensors',
      [
        'pos_embed',
        'cls_token',
        ...pair('patch_embed.proj'),
        ...[0, 1, 2].flatMap((index) =>
          ['attn.qkv', 'attn.proj', 'norm1', 'norm2', 'mlp.fc1', 'mlp.fc2'].flatMap((part) =>
            pair(`blocks.${index}.${part}`),
          ),
        ),
        ...pair('norm'),
        ...pair('head'),
      ],
    ],
    [
      'with the MLP before both norms and queries, keys and values apart',
      'vit-transformers-safetensors',
      [
        ...pair('vit.embeddings.patch_embeddings.projection'),
        'vit.embeddings.cls_token',
        'vit.embeddings.position_embeddings',
        ...[0, 1, 2].flatMap((index) =>
          [
            'attention.attention.query',
            'attention.attention.key',
            'attention.attention.value',
            'attention.output.dense',
            'intermediate.dense',
            'output.dense',
            'layernorm_before',
            'layernorm_after',
          ].flatMap((part) => pair(`vit.encoder.layer.${index}.${part}`)),
        ),
        ...pair('vit.layernorm'),
        ...pair('classifier'),
      ],
    ],
  ];
  for (const [what, id, names] of written)
    it(`${what}, is read in its own order`, async () => {
      const file = inOrder(await openCheckpoint(checkpointPath(golden(id))), names);
      const model = understand(scrambled(file), { byStructure: true });
      assert.deepEqual([...readAs(model).values()], names);
    });

  it('has ⚠ at what a library would have told', async () => {
    const { recognition } = understand(await opened('vit-timm-safetensors'), { byStructure: true });
    assert(recognition.family !== null);
    assert.equal(recognition.evidence['norm_order']?.assumed, true);
  });
});

describe('a mapping', () => {
  it('says what tensors are instead of their names, changed ones too', async () => {
    const checkpoint = await opened('vit-transformers-safetensors');
    const mapping = understand(checkpoint, { byStructure: true }).structure?.mapping ?? [];
    const swap = (as: string): string =>
      as.replace(/layernorm_(before|after)/, (_, which) =>
        which === 'before' ? 'layernorm_after' : 'layernorm_before',
      );
    const changed = mapping.map(({ name, as }) => ({ name, as: swap(as) }));
    const model = understand(checkpoint, { mapping: changed });
    assert(model.recognition.family !== null);
    assert.deepEqual(readAs(model), new Map(changed.map(({ name, as }) => [name, as])));
    assert.match(model.recognition.warnings[0] ?? '', /Read by structure, check: .* mapping/);
  });

  it('of a tensor that the file does not have is refused', async () => {
    const checkpoint = await opened('vit-timm-safetensors');
    const mapping = [{ name: 'nowhere', as: 'cls_token' }];
    assert.throws(() => understand(checkpoint, { mapping }), /names nowhere, which the file does not have/);
  });

  it('that reads two tensors as one is refused', async () => {
    const checkpoint = await opened('vit-timm-safetensors');
    const mapping = checkpoint.selected.tensors.map(({ name }) => ({ name, as: 'cls_token' }));
    assert.throws(() => understand(checkpoint, { mapping }), /two tensors as cls_token/);
  });

  it('is read alone, or with all that inspect prints', () => {
    const rows = [{ name: 'a', as: 'b' }];
    assert.deepEqual(parseMapping(rows, 'x.json'), rows);
    assert.deepEqual(parseMapping({ family: 'vit', mapping: rows }, 'x.json'), rows);
  });

  for (const [what, value, says] of [
    ['no list', { names: [] }, /x\.json: holds no mapping/],
    ['a row of another kind', [{ name: 'a', as: 'b' }, { name: 'c' }], /x\.json: row 2/],
  ] as const)
    it(`is refused if it is ${what}`, () => assert.throws(() => parseMapping(value, 'x.json'), says));
});
