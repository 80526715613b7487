/**
 * An item as the table writes it: `?name:spec`, or `["?prefix#", variants]`; `?` for optional, `#`
 * for numbered.
 */
export type WrittenItem = string | readonly [prefix: string, variants: readonly WrittenVariant[]];

/** Members of a list: where they stand, behind an `@`, and what they hold. */
export type WrittenVariant = readonly [standing: string, ...items: WrittenItem[]];

/**
 * A row of the table: title, items, and of the optional items, in their order, which ones so many
 * models have.
 */
export type WrittenLayout = readonly [
  title: string,
  items: readonly WrittenItem[],
  published: readonly (readonly [present: string, models: number])[],
];
