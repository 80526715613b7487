import { timmNames, type Dialect } from '../dialect';

/** ConvMixer as timm names it. */
export const convMixerNames: readonly Dialect[] = [
  timmNames('convmixer', [
    /^stem\.0\.weight$/,
    /^stem\.2\.running_mean$/,
    /^blocks\.0\.0\.fn\.0\.weight$/,
    /^blocks\.0\.1\.weight$/,
    /^blocks\.0\.3\.running_mean$/,
  ]),
];
