import type { Restored } from '../answer';
import type { FileFormat } from '../formats';
import { rgbPng } from '../post/png';
import { pixelsOfRestored } from './pictures';

/** Files of the image that came out. */
export const restoredFormats: readonly FileFormat<Restored>[] = [
  {
    ending: 'restored.png',
    title: 'PNG',
    what: 'the image as the model makes it, 8 bits a colour',
    async content(answer) {
      return { data: await rgbPng(pixelsOfRestored(answer)) };
    },
  },
];
