/** Decoded pixels in memory, as a white page shows them. */

import { srgbOfDisplayP3 } from './profiles.js';

const STRIP_ROWS = 256;

/**
 * Yield the rows of a picture from top to bottom: opaque pixels in sRGB. Uses the pixels up.
 * @param {Uint8ClampedArray} rgba
 * @param {number} width
 * @param {boolean} isP3 whether its colours are those of Display P3
 * @returns {Generator<Uint8ClampedArray>}
 */
export function* pixelStrips(rgba, width, isP3) {
  const size = 4 * width * STRIP_ROWS;
  for (let at = 0; at < rgba.length; at += size) {
    const strip = rgba.subarray(at, at + size);
    if (isP3) srgbOfDisplayP3(strip);
    composeOnWhite(strip);
    yield strip;
  }
}

/**
 * Show transparent pixels on a white page, rounded as Pillow rounds. Modifies the argument.
 * @param {Uint8ClampedArray} rgba
 */
export function composeOnWhite(rgba) {
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    for (let channel = at; channel < at + 3; channel++) {
      const sum = rgba[channel] * alpha + 255 * (255 - alpha) + 128;
      rgba[channel] = ((sum >> 8) + sum) >> 8;
    }
    rgba[at + 3] = 255;
  }
}
