/** Files that end early: browsers show a part of the picture, whose hashes would match no copy. */

import { Bytes } from './headers.js';

const MOST_CHUNKS = 100_000;

/**
 * Tell whether a file of these formats has its end; true for others, whose decoders tell.
 * @param {Blob} blob
 * @param {string} format
 */
export async function isWhole(blob, format) {
  if (format === 'JPEG') return hasEndOfImage(new Uint8Array(await blob.arrayBuffer()));
  if (format === 'PNG') return hasLastChunk(blob);
  if (format === 'WebP') {
    const size = (await new Bytes(blob).read(4, 4)).getUint32(0, true);
    return 8 + size <= blob.size;
  }
  return true;
}

/**
 * Look for the marker EOI after the first SOS: coded data hold none (ITU T.81, B.1.1.5), and what
 * comes before may be a small picture with an end of its own.
 * @param {Uint8Array} file
 */
function hasEndOfImage(file) {
  const [startOfScan, endOfImage] = [0xda, 0xd9];
  let at = 2;
  while (at < file.length && file[at + 1] !== startOfScan) {
    const isFill = file[at + 1] === 0xff;
    at += isFill ? 1 : 2 + 256 * file[at + 2] + file[at + 3];
  }
  while (at >= 0 && file[at + 1] !== endOfImage) at = file.indexOf(0xff, at + 1);
  return at >= 0;
}

/** @param {Blob} blob */
async function hasLastChunk(blob) {
  const bytes = new Bytes(blob);
  for (let at = 8, chunk = 0; chunk < MOST_CHUNKS && at + 12 <= blob.size; chunk++) {
    if ((await bytes.text(at + 4, 4)) === 'IEND') return true;
    at += 12 + (await bytes.read(at, 4)).getUint32(0);
  }
  return false;
}
