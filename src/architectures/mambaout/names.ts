import { timmNames, type Dialect } from '../dialect';

/** MambaOut as timm names it. */
export const mambaOutNames: readonly Dialect[] = [
  timmNames('mambaout', [
    /^stem\.conv2\.weight$/,
    /^stages\.0\.blocks\.0\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.fc1\.weight$/,
    /^stages\.0\.blocks\.0\.norm\.weight$/,
  ]),
];
