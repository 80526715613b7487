import type { Family } from '../family';
import { clip } from './clip';
import { siglip } from './siglip';
import { vit } from './vit';
import { pvtV2 } from './pvt_v2';
import { levit } from './levit';
import { pvt } from './pvt';

/** Every family that is known, asked in this order. A new one is one file and one line here. */
export const families = [levit, pvtV2, pvt, siglip, clip, vit] as const satisfies readonly Family[];
