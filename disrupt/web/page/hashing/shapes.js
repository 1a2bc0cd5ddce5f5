/**
 * Distance of a hash from those of simple shapes, which are the hashes of much else.
 *
 * Port of `disrupt/distinctiveness/shape_distance.py`.
 */

import { HASH_BYTES } from './pdq.js';

const SIDE = 16;
const CLASSES = 4;
const WORDS = 2;
const CLASS_BITS = 64;
const WORDS_OF_HASH = CLASSES * WORDS;

export class Shapes {
  /** @param {ArrayBuffer} file `disrupt/distinctiveness/shapes.npy`, in NumPy's format 1.0 */
  constructor(file) {
    const hashes = new Uint8Array(file, 10 + new DataView(file).getUint16(8, true));
    const count = hashes.length / HASH_BYTES;
    this._words = new Int32Array(count * WORDS_OF_HASH);
    for (let at = 0; at < count; at++) {
      const hash = hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
      this._words.set(wordsOf(hash), at * WORDS_OF_HASH);
    }
  }

  /**
   * Return the distance of a hash from the nearest shape in any orientation, or its negative.
   *
   * A mirrored shape, or one in negative, has the complement of some words: all eight distances are
   * sums of the same four counts.
   * @param {Uint8Array} hash
   */
  distanceBits(hash) {
    let agreement = 0;
    const counts = new Int32Array(CLASSES);
    for (const words of [wordsOf(hash), wordsOf(transposed(hash))]) {
      for (let shape = 0; shape < this._words.length; shape += WORDS_OF_HASH) {
        for (let of = 0; of < CLASSES; of++) {
          const at = of * WORDS;
          counts[of] =
            ones(words[at] ^ this._words[shape + at]) +
            ones(words[at + 1] ^ this._words[shape + at + 1]);
        }
        const [a, b, c, d] = counts;
        const alike = Math.abs(a + b - CLASS_BITS) + Math.abs(c + d - CLASS_BITS);
        agreement = Math.max(agreement, alike, Math.abs(a - b) + Math.abs(c - d));
      }
    }
    return 2 * CLASS_BITS - agreement;
  }
}

/** Every second bit of a byte, from the first one on. */
const EVEN_BITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  return (byte & 1) | ((byte >> 1) & 2) | ((byte >> 2) & 4) | ((byte >> 3) & 8);
});

/**
 * Pack bits into four words of 64 by the parity of their row and column.
 * @param {Uint8Array} hash
 */
function wordsOf(hash) {
  const words = new Int32Array(WORDS_OF_HASH);
  for (let byte = 0; byte < HASH_BYTES; byte++) {
    // Two bytes are a row, and so half a byte of two words each.
    const bits = hash[HASH_BYTES - 1 - byte];
    const row = byte >> 1;
    const place = (row >> 1) * (SIDE / 2) + (byte & 1) * (SIDE / 4);
    const even = 2 * (row & 1) * WORDS + (place >> 5);
    words[even] |= EVEN_BITS[bits] << (place & 31);
    words[even + WORDS] |= EVEN_BITS[bits >> 1] << (place & 31);
  }
  return words;
}

/**
 * Exchange rows and columns of the coefficients of a hash.
 * @param {Uint8Array} hash
 */
function transposed(hash) {
  const result = new Uint8Array(HASH_BYTES);
  for (let bit = 0; bit < SIDE * SIDE; bit++) {
    const from = (bit % SIDE) * SIDE + Math.floor(bit / SIDE);
    const value = (hash[HASH_BYTES - 1 - (from >> 3)] >> (from & 7)) & 1;
    result[HASH_BYTES - 1 - (bit >> 3)] |= value << (bit & 7);
  }
  return result;
}

/**
 * Count the bits of a word.
 * @param {number} word
 */
function ones(word) {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
