/**
 * Names of a family's published sizes by the blocks of their stages and as many of the first widths
 * as tell them apart: `3,4,6,3 64`, `1,2,3 128,192`.
 */
export type Sizes = Readonly<Record<string, string>>;

/**
 * Name of the published size with these blocks and widths, stage by stage; undefined if there is
 * none.
 */
export function sizeOf(sizes: Sizes, depths: readonly number[], dims: readonly number[]): string | undefined {
  const layout = `${depths.join(',')} ${dims.join(',')},`;
  return Object.entries(sizes).find(([start]) => layout.startsWith(`${start},`))?.[1];
}

/** `PVT v2-B2`; if nobody published the size `PVT v2 with 2 + 2 + 6 + 2 blocks, width 48`. */
export function sizeTitle(
  family: string,
  sizes: Sizes,
  depths: readonly number[],
  dims: readonly number[],
): string {
  const size = sizeOf(sizes, depths, dims);
  return size === undefined
    ? `${family} with ${depths.join(' + ')} blocks, width ${dims[0]}`
    : `${family}-${size}`;
}
