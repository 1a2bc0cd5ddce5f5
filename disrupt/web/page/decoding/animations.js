/** How many frames an animation has, where the browser decodes the first alone. */

import { Bytes } from './headers.js';

const MOST_PARTS = 100_000;

/** @typedef {(bytes: Bytes) => Promise<number>} Counter */

/**
 * Count the frames of a file; 1 where that takes more than its structure, or the file is damaged.
 * @param {Blob} blob
 * @param {string} format
 */
export async function countFrames(blob, format) {
  /** @type {Record<string, Counter>} */
  const counters = { GIF: framesOfGif, PNG: framesOfPng, WebP: framesOfWebp };
  if (!(format in counters)) return 1;
  try {
    return Math.max(await counters[format](new Bytes(blob)), 1);
  } catch (error) {
    // A DataView ends before what is read of it.
    if (error instanceof RangeError) return 1;
    throw error;
  }
}

/** @type {Counter} */
async function framesOfPng(bytes) {
  for (let at = 8, part = 0; part < MOST_PARTS; part++) {
    const chunk = await bytes.read(at, 12);
    if ((await bytes.text(at + 4, 4)) === 'acTL') return chunk.getUint32(8);
    at += 12 + chunk.getUint32(0);
  }
  return 1;
}

/** @type {Counter} */
async function framesOfWebp(bytes) {
  const end = 8 + (await bytes.read(4, 4)).getUint32(0, true);
  let frames = 0;
  for (let at = 12, part = 0; at < end && part < MOST_PARTS; part++) {
    const size = (await bytes.read(at + 4, 4)).getUint32(0, true);
    if ((await bytes.text(at, 4)) === 'ANMF') frames++;
    at += 8 + size + (size % 2);
  }
  return frames;
}

/**
 * Walk the blocks of GIF89a (sections 17 to 27).
 * @type {Counter}
 */
async function framesOfGif(bytes) {
  const [image, extension, trailer] = [0x2c, 0x21, 0x3b];
  const colours = (/** @type {number} */ flags) => (flags & 0x80 ? 6 << (flags & 7) : 0);
  let at = 13 + colours((await bytes.read(10, 1)).getUint8(0));
  for (let frames = 0, part = 0; ; ) {
    const kind = (await bytes.read(at, 1)).getUint8(0);
    if (kind === trailer || part > MOST_PARTS) return frames;
    if (kind === image) {
      frames++;
      at += 11 + colours((await bytes.read(at + 9, 1)).getUint8(0));
    } else if (kind === extension) {
      at += 2;
    } else {
      return frames;
    }
    for (let size = 1; size; part++) {
      size = (await bytes.read(at, 1)).getUint8(0);
      at += 1 + size;
    }
  }
}
