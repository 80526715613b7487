/**
 * Lines whose header does not tell what they count, by id, with the reason: same header, different truth. Where a config.json beside them
 * tells it, they are held to it.
 */
export const exceptions: Readonly<Record<string, string>> = {
  'transformers/microsoft/swinv2-base-patch4-window8-256':
    'same names and shapes as swinv2-base-patch4-window16-256: only config.json tells the window',
};

/** Those that a config.json beside them does not tell either. */
export const undecidable: readonly string[] = [];
