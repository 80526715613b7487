/** Arrays as NumPy keeps them: version 1.0 of the .npy format (numpy.lib.format). */

const magic = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0);
/** The header ends on a multiple of it, so that data can be mapped. */
const alignment = 64;

/** Returns the file of a float32 array, row-major. */
export function npyOf(values: Float32Array, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const fixed = magic.length + 2;
  const padded = Math.ceil((fixed + text.length + 1) / alignment) * alignment - fixed;
  const out = new Uint8Array(fixed + padded + values.length * 4);
  const view = new DataView(out.buffer);
  out.set(magic);
  view.setUint16(magic.length, padded, true);
  const header = `${text.padEnd(padded - 1)}\n`;
  for (let i = 0; i < padded; i++) out[fixed + i] = header.charCodeAt(i);
  values.forEach((value, i) => view.setFloat32(fixed + padded + i * 4, value, true));
  return out;
}
