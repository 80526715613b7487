/** Names of models that have another's shapes in another's order, and compute otherwise. */
interface Twin {
  /** A word of the layout's title. */
  readonly family: string;
  readonly of: RegExp;
  readonly to: (name: string, ...groups: string[]) => string;
  /** Whose they are, for people. */
  readonly as: string;
}

/** What neither shapes nor order decide, so that both readings are offered. */
export const twins: readonly Twin[] = [
  {
    family: 'davit',
    of: /^(stages\.\d+\.blocks\.\d+)\.([01])\./,
    to: (_, block, pair) => `${block}.${pair === '0' ? 'spatial' : 'channel'}_block.`,
    as: 'computed as in Florence-2',
  },
  {
    family: 'metaformer',
    of: /^head\.norm\./,
    to: () => 'norm.',
    as: 'with the last norm before the pooling, as the first PoolFormer has it',
  },
];
