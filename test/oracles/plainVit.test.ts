import assert from 'node:assert/strict';
import type { Known } from '../../src/architectures/recognise/recognise';
import { elementCount } from '../../src/checkpoint/tensors';
import type { Macs } from '../../src/domain/report';
import { linesFolder, ownFolder, readLines, rowOf, understand, type Line } from './lines';

/** Rows of families.json that are expected to be recognised. */
const rows = ['vit', 'clip', 'siglip'];
/** Same header, different truth. */
const undecidable: Readonly<Record<string, string>> = Object.fromEntries(
  ['deitsmall16', 'vitbase16', 'vitbase8'].map((name) => [
    `original/dino/dino_${name}_pretrain_full_checkpoint`,
    'the line counts DINO’s projection head with the backbone; the golden case of the same file layout counts the backbone alone, as does what runs',
  ]),
);

/**
 * The image encoder of a masked autoencoder, all patches visible: the line that counts the same
 * encoder alone.
 */
const encoders: Readonly<Record<string, string>> = {
  'transformers/facebook/vit-mae-base': 'transformers/facebook/vit-mae-base#encoder',
  'transformers/facebook/vit-mae-large': 'transformers/facebook/vit-mae-large#encoder',
  'transformers/facebook/vit-mae-huge': 'timm/vit_huge_patch14_224',
  'original/mae/mae_visualize_vit_base': 'transformers/facebook/vit-mae-base#encoder',
  'original/mae/mae_visualize_vit_huge': 'timm/vit_huge_patch14_224',
};

const lines = readLines(linesFolder).filter(({ family }) => rows.includes(rowOf(family) ?? ''));
const byId = new Map([...readLines(ownFolder), ...lines].map((line) => [line.id, line]));

interface TextConfig {
  readonly dim: number;
  readonly depth: number;
  readonly intermediate_size: number;
}

/** Matrices that one vector passes: projections to the joint space and the text tower's pooling. */
const onceRead =
  /^(?:text_projection(?:\.weight)?|visual_projection\.weight|visual\.proj|text_model\.head\.weight|text_model\.pooler\.dense\.weight|text\.text_projection\.weight)$/;

/**
 * MACs of a dual encoder's image tower: the whole less text tower, projections and the one logit
 * (closed forms of a transformer of L tokens).
 */
function imageMacs({ macs, config, tensors }: Line): Macs {
  const { dim, depth, intermediate_size: mlp } = config['text_config'] as TextConfig;
  const length = config['text_length'] as number;
  const once = tensors.filter(([name]) => onceRead.test(name));
  const joint = once.at(-1)?.[2].includes(dim) ? Math.min(...once.at(-1)![2]) : dim;
  const projections = once.reduce((total, [, , shape]) => total + elementCount(shape), 0);
  return {
    conv: macs.conv,
    linear: macs.linear - length * depth * (4 * dim * dim + 2 * dim * mlp) - projections,
    attention: macs.attention - 2 * length * length * dim * depth - joint,
  };
}

/** All parts of a model that runs whole; of others the image tower or the encoder alone. */
function expectedMacs(line: Line, { whole }: Known): Macs {
  if (whole) return line.macs;
  const encoder = encoders[line.id];
  if (encoder) return byId.get(encoder)!.macs;
  return line.task === 'zero-shot' ? imageMacs(line) : line.macs;
}

function recogniseLine(line: Line, config?: Line['config_json']): Known {
  const { recognition } = understand(line, config);
  assert(recognition.family !== null, `${line.id}: ${'reason' in recognition ? recognition.reason : ''}`);
  return recognition;
}

/** Everything a line and what is read from its header must agree on. */
function compare(line: Line, config?: Line['config_json']): void {
  const recognition = recogniseLine(line, config);
  const { params, buffers, macs } = understand(line, config);
  const vision = (line.config['vision_config'] as Line['config'] | undefined) ?? line.config;
  const heads = recognition.evidence['heads']!;
  const [expectedHeads] = [vision['heads']].flat();
  assert.deepEqual(
    {
      row: recognition.family,
      params,
      buffers,
      macs,
      depth: recognition.evidence['depth']!.value,
      dim: recognition.evidence['dim']!.value,
      heads: heads.assumed ? expectedHeads : heads.value,
    },
    {
      row: rowOf(line.family),
      params: line.params,
      buffers: line.buffers,
      macs: expectedMacs(line, recognition),
      depth: vision['depth'],
      dim: vision['dim'],
      heads: expectedHeads,
    },
  );
}

describe('published models by their headers: plain Vision Transformers, CLIP and SigLIP', () => {
  const libraries = [...new Set(lines.map(({ id }) => id.split('/')[0]!))];
  for (const library of libraries) {
    const own = lines.filter(({ id }) => id.startsWith(`${library}/`) && !(id in undecidable));
    it(`${library}: ${own.length} models with names and shapes alone`, () =>
      own.forEach((line) => compare(line)));
    const described = own.filter(({ config_json }) => config_json);
    if (described.length > 0)
      it(`${library}: ${described.length} models with config.json beside them`, () =>
        described.forEach((line) => compare(line, line.config_json)));
  }

  if (lines.length > 0)
    it('decides the heads of every model that a config or the published table knows', () => {
      const assumed = lines.filter(
        (line) => recogniseLine(line, line.config_json).evidence['heads']!.assumed,
      );
      assert.deepEqual(
        assumed.map(({ id }) => id),
        [],
      );
    });

  for (const [id, reason] of Object.entries(undecidable).filter(([id]) =>
    lines.some((line) => line.id === id),
  ))
    it(`${id} counts its backbone: ${reason}`, () => {
      const line = byId.get(id)!;
      const { params } = understand(line);
      const head = line.tensors
        .filter(([name]) => name.startsWith('teacher.head.'))
        .reduce((total, [, , shape]) => total + elementCount(shape), 0);
      assert.equal(params, line.params - head);
    });
});
