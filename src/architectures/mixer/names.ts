import { timmNames, type Dialect } from '../dialect';

/** What all of them have; what mixes the patches tells them apart. */
const common = [/^stem\.proj\.weight$/, /^blocks\.0\.mlp_channels\.fc1\.weight$/];

/** MLP-Mixer, gMixer, ResMLP and gMLP as timm names them. */
export const mixerNames: readonly Dialect[] = [
  timmNames('mixer', [...common, /^blocks\.0\.mlp_tokens\.fc1\.weight$/]),
  timmNames('mixer', [...common, /^blocks\.0\.linear_tokens\.weight$/]),
  timmNames('mixer', [...common, /^blocks\.0\.mlp_channels\.gate\.proj\.weight$/]),
];
