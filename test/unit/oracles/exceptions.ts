/** Lines whose header does not tell what they count, by id, with the reason: same header, different truth. */
export const exceptions: Readonly<Record<string, string>> = {
  'transformers/microsoft/swinv2-base-patch4-window8-256':
    'same names and shapes as swinv2-base-patch4-window16-256: only config.json tells the window',
};
