/** Pixels of what a browser has decoded, read back through a canvas a strip at a time. */

import { Refusal } from '../refusal.js';

const STRIP_ROWS = 256;

/** Widest canvas that is read: Chromium gives zeros, and no error, beyond 16 384 px a side. */
const TILE_PX = 8192;

const KNOWN_SIDE = 64;

/**
 * Yield the rows of an image from top to bottom, as a white page shows them: opaque pixels.
 *
 * Each strip is to be used before the next one. The canvas is as small as a strip, so that an image
 * takes memory only once.
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @returns {Generator<Uint8ClampedArray>}
 */
export function* strips(image, width, height) {
  const context = newContext(Math.min(width, TILE_PX), Math.min(height, STRIP_ROWS));
  for (let top = 0; top < height; top += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, height - top);
    if (width <= TILE_PX) {
      yield tile(context, image, 0, top, width, rows);
      continue;
    }
    const strip = new Uint8ClampedArray(4 * width * rows);
    for (let left = 0; left < width; left += TILE_PX) {
      const columns = Math.min(TILE_PX, width - left);
      const part = tile(context, image, left, top, columns, rows);
      for (let row = 0; row < rows; row++) {
        const from = part.subarray(4 * row * columns, 4 * (row + 1) * columns);
        strip.set(from, 4 * (row * width + left));
      }
    }
    yield strip;
  }
}

/** @type {boolean | undefined} */
let noise;

/**
 * Tell whether the browser changes what is read back from a canvas, to make people harder to track:
 * draw known pixels, once in the life of a worker, and read them twice.
 */
export function hasNoise() {
  noise ??= !areRead(newContext(KNOWN_SIDE, KNOWN_SIDE));
  return noise;
}

/** @param {OffscreenCanvasRenderingContext2D} context */
function areRead(context) {
  // No two neighbours are alike, since some browsers leave plain areas as they are.
  const colours = Array.from({ length: KNOWN_SIDE ** 2 }, (_, at) => [
    (at * 37) % 256,
    (at * 91 + 50) % 256,
    (at * 243 + 7) % 256,
  ]);
  colours.forEach((colour, at) => {
    context.fillStyle = `rgb(${colour.join(' ')})`;
    context.fillRect(at % KNOWN_SIDE, Math.floor(at / KNOWN_SIDE), 1, 1);
  });
  return [1, 2].every(() =>
    context
      .getImageData(0, 0, KNOWN_SIDE, KNOWN_SIDE)
      .data.every((level, at) => level === (colours[at >> 2][at & 3] ?? 255)),
  );
}

/**
 * @param {OffscreenCanvasRenderingContext2D} context
 * @param {CanvasImageSource} image
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 */
function tile(context, image, left, top, width, height) {
  context.fillRect(0, 0, width, height);
  context.drawImage(image, left, top, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/**
 * @param {number} width
 * @param {number} height
 */
function newContext(width, height) {
  const canvas = 'OffscreenCanvas' in globalThis && new OffscreenCanvas(width, height);
  const context = canvas && canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Refusal('unsupported');
  context.imageSmoothingEnabled = false;
  context.fillStyle = 'white';
  return context;
}
