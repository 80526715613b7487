import type { Dialect } from '../dialect';
import { openAiClip, openAiTowerAlone, openClipTrunk, transformersClip } from '../libraries/clip';

/** Image towers of dual encoders, with or without the text tower beside them. */
export const clipNames: readonly Dialect[] = [openClipTrunk, openAiClip, openAiTowerAlone, transformersClip];
