/**
 * Lines whose header does not tell what they count, by id, with the reason: same header, different
 * truth. Where a config.json beside them tells it, they are held to it.
 */
export const exceptions: Readonly<Record<string, string>> = {
  'transformers/microsoft/swinv2-base-patch4-window8-256':
    'same names and shapes as swinv2-base-patch4-window16-256: only config.json tells the window',
  'transformers/facebook/hiera-tiny-224-mae-hf':
    'counted as an autoencoder, which drops six of ten mask units and runs a decoder; the encoder alone is that of hiera-tiny-224-in1k-hf',
  'transformers/facebook/hiera-base-224-mae-hf':
    'counted as an autoencoder, which drops six of ten mask units and runs a decoder; the encoder alone is that of hiera-base-224-in1k-hf',
  'transformers/MCG-NJU/videomae-base':
    'counted as an autoencoder, which drops nine of ten tubelets and runs a decoder; the encoder alone runs here',
  'transformers/MCG-NJU/videomae-large':
    'counted as an autoencoder, which drops nine of ten tubelets and runs a decoder; the encoder alone runs here',
};

/** Those that a config.json beside them does not tell either. */
export const undecidable: readonly string[] = [
  'transformers/facebook/hiera-tiny-224-mae-hf',
  'transformers/facebook/hiera-base-224-mae-hf',
  'transformers/MCG-NJU/videomae-base',
  'transformers/MCG-NJU/videomae-large',
];
