/** Bytes that are made text at once: arguments of a call are limited. */
const chunk = 0x8000;

/** Bytes as what the host takes for a file of bytes. */
export function dataUrl(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += chunk)
    text += String.fromCharCode.apply(undefined, [...bytes.subarray(at, at + chunk)]);
  return `data:application/octet-stream;base64,${btoa(text)}`;
}
