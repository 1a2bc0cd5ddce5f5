/** HEIC files where the browser has no decoder for them, by libheif. */

import { Refusal } from '../refusal.js';
import load from '../vendor/libheif-js-1.23.2/libheif.js';
import { pixelStrips } from './pixels.js';
import { isDisplayP3 } from './profiles.js';

/** @type {ReturnType<typeof load> | undefined} */
let library;

/**
 * Decode the primary picture of a file, turned as the file says.
 * @param {Blob} blob
 * @returns {Promise<import('./pictures.js').Frame>}
 */
export async function decode(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  library ??= load();
  const images = new library.HeifDecoder().decode(bytes);
  try {
    const image = images.find((each) => each.is_primary());
    if (!image) throw new Refusal('UNREADABLE', { detail: 'HEIC' });
    const [width, height] = [image.get_width(), image.get_height()];
    const data = new Uint8ClampedArray(4 * width * height);
    const isDecoded = await new Promise((resolve) => {
      image.display({ data, width, height }, resolve);
    });
    if (!isDecoded) throw new Refusal('UNREADABLE', { detail: 'HEIC' });
    const strips = pixelStrips(data, width, isDisplayP3(bytes));
    return { width, height, strips, framesLeft: images.length - 1 };
  } finally {
    for (const image of images) image.free();
  }
}
