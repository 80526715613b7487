import { timmNames, type Dialect, type Rename } from '../dialect';

/**
 * Names under which a module that several blocks share is saved again with each of them, and the
 * one it is read by.
 */
const shared: readonly Rename[] = [
  [/^serial_blocks(\d)\.\d+\.cpe\.(.+)$/, 'cpe$1.$2'],
  [/^serial_blocks(\d)\.\d+\.factoratt_crpe\.crpe\.(.+)$/, 'crpe$1.$2'],
  [/^parallel_blocks\.\d+\.factoratt_crpe(\d)\.crpe\.(.+)$/, 'crpe$1.$2'],
  [/^(parallel_blocks\.\d+)\.mlp[34]\.(.+)$/, '$1.mlp2.$2'],
];

/** CoaT, whose authors and timm use the same names. */
export const coatNames: readonly Dialect[] = [
  timmNames(
    'coat',
    [
      /^patch_embed1\.proj\.weight$/,
      /^serial_blocks1\.0\.factoratt_crpe\.qkv\.weight$/,
      /^(?:crpe1|serial_blocks1\.0\.factoratt_crpe\.crpe)\.conv_list\.0\.weight$/,
    ],
    {
      renames: [
        ...shared,
        [new RegExp(`^(?!${shared.map(([from]) => from.source.slice(1)).join('|')}).+$`), '$&'],
      ],
    },
  ),
];
