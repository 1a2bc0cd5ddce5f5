/** What the page reads of a picture, before anything is hashed. */

import { readHeader } from '../../../disrupt/web/page/decoding/headers.js';
import { frames } from '../../../disrupt/web/page/decoding/pictures.js';

/**
 * Decode a served file as the worker does, and put the pixels of its first frame beside it, as
 * `NAME.rgba`. Returns width and height; nothing if the file is refused.
 * @param {string} name
 */
export async function putPixels(name) {
  const file = (await (await fetch(`/files/${name}`)).blob()).slice();
  const header = await readHeader(file);
  if (!header) return undefined;
  for await (const { width, height, strips } of frames(file, header)) {
    const pixels = new Uint8Array(4 * width * height);
    let at = 0;
    for (const strip of strips) {
      pixels.set(strip, at);
      at += strip.length;
    }
    await fetch(`/files/${name}.rgba`, { method: 'PUT', body: pixels });
    return [width, height];
  }
}
