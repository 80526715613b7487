import { timmNames, type Dialect } from '../dialect';

/** timm's NaFlexViT, the one naming of this family. */
export const naflexvitNames: readonly Dialect[] = [
  timmNames('naflexvit', [/^embeds\.proj\.weight$/, /^blocks\.0\.norm1\.weight$/]),
];
