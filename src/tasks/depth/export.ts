import { formatExact, quantity } from '../../domain/units';
import type { Depth } from '../answer';
import type { FileFormat } from '../formats';
import { npyOf } from '../post/npy';
import { depthPng } from '../post/png';

/** Files of the depth of every pixel, at the image's own size. */
export const depthFormats: readonly FileFormat<Depth>[] = [
  {
    ending: 'depth.png',
    title: '16-bit PNG',
    what: 'metres in millimetres; relative depth from lowest to highest',
    async content({ grid, values, unit }) {
      const { png, clipped } = await depthPng({ size: grid, values }, unit);
      const cut = `${formatExact(clipped)} of ${quantity(values.length, 'pixel')}`;
      return {
        data: png,
        ...(clipped > 0 && { warning: `${cut} lie outside of 0 … 65.535 m and are cut off in the PNG` }),
      };
    },
  },
  {
    ending: 'depth.npy',
    title: 'NumPy Array',
    what: 'every value as it is, float32',
    content: ({ grid, values }) => ({ data: npyOf(values, grid) }),
  },
];
