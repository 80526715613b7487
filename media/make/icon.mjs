// Draws media/icon.png from media/icon.svg: node media/make/icon.mjs
import sharp from 'sharp';

await sharp('media/icon.svg', { density: 288 })
  .resize(128, 128)
  .png({ compressionLevel: 9 })
  .toFile('media/icon.png');
