/** JPEG files where the browser falsifies what a canvas shows, by MozJPEG. */

import { Refusal, needed } from '../refusal.js';
import load from '../vendor/jsquash-jpeg-1.6.0/mozjpeg_dec.js';
import { pixelStrips } from './pixels.js';
import { hasProfile, isDisplayP3 } from './profiles.js';

/** @type {ReturnType<typeof load> | undefined} */
let library;

/**
 * Decode a file, turned as its EXIF says. CANVAS_NOISE for colours that only the browser converts.
 * @param {Blob} blob
 * @returns {Promise<import('./pictures.js').Frame>}
 */
export async function decode(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const isP3 = isDisplayP3(bytes);
  if (hasProfile(bytes) && !isP3) throw new Refusal('CANVAS_NOISE', { detail: 'profile' });
  library ??= load({ noInitialRun: true });
  const image = (await needed(library)).decode(bytes, true);
  if (!image) throw new Refusal('UNREADABLE', { detail: 'JPEG' });
  const { data, width, height } = image;
  return { width, height, strips: pixelStrips(data, width, isP3), framesLeft: 0 };
}
