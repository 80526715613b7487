import { useViewSize } from '../kit/elements';

/** Width from which image, answer, maps and controls stand on one screen. */
const WIDE = 1000;
/** What of a wide view is above and below the image, and the least and most height of one. */
const HEIGHTS = { around: 400, least: 260, most: 720, narrow: 520 } as const;

/** How the panel is laid out in the view that it has. */
export function usePanelSize(): { readonly isWide: boolean; readonly highest: number } {
  const { width, height } = useViewSize();
  const isWide = width >= WIDE;
  const left = Math.min(HEIGHTS.most, Math.max(HEIGHTS.least, height - HEIGHTS.around));
  return { isWide, highest: isWide ? left : HEIGHTS.narrow };
}
