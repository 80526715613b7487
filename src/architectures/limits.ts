/** Every bound that names and configurations are held to, with its reason. */
export const modelLimits = {
  /**
   * Members of a numbered list of modules, `blocks.0 …`: the deepest network that is known has
   * 1 000 layers.
   */
  listMembers: 4096,
  /**
   * Pixels of an image's side: published models take up to 4 096, and no decoder here gives more
   * than 65 536.
   */
  imageSide: 16_384,
} as const;
