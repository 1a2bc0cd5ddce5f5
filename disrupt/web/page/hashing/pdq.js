/**
 * PDQ as linear algebra: blurred samples of a picture to hash, quality and undecided bits.
 *
 * Port of `disrupt/hashing/pdq/linear.py`, and bit-equal to it for the same luma: sums are made in
 * 64 bits, and rounded to 32 where NumPy keeps 32.
 */

import { SAMPLES, blurred, reduced } from './axes.js';

export const HASH_BYTES = 32;
const HASH_BITS = 256;
const COEFFICIENTS = 16;

/** A picture with a smaller side has no hash: the reference gives zeros and quality 0. */
export const MIN_SIDE_PX = 5;

/** Distance from the median, in coefficients, that re-encoding a picture easily moves them. */
const UNDECIDED = 0.5;

/** Least difference in levels of neighbouring samples that counts as a step. */
const STEP = 0.5;

/** @typedef {{hash: Uint8Array, quality: number, undecidedBits: number}} Hashed */

/** Cosine transform along one axis, 64 x 16: 16 coefficients of 64 samples, none constant. */
const COSINES = Float32Array.from({ length: SAMPLES * COEFFICIENTS }, (_, at) => {
  const coefficient = (at % COEFFICIENTS) + 1;
  const sample = 2 * Math.floor(at / COEFFICIENTS) + 1;
  return Math.sqrt(2 / SAMPLES) * Math.cos((Math.PI / (2 * SAMPLES)) * (coefficient * sample));
});

/**
 * Hash luma of `height` x `width` pixels at that size. A side under 5 px gives quality 0.
 * @param {ArrayLike<number>} luma
 * @param {number} width
 * @param {number} height
 * @returns {Hashed}
 */
export function hashLuma(luma, width, height) {
  if (Math.min(width, height) < MIN_SIDE_PX) return hashSamples(new Float32Array(SAMPLES ** 2));
  return hashSamples(sampled(luma, width, blurred(height), blurred(width)));
}

/**
 * Hash luma averaged to 512 x 512 without rounding, whatever its size.
 * @param {ArrayLike<number>} luma
 * @param {number} width
 * @param {number} height
 * @returns {Hashed}
 */
export function hashReduced(luma, width, height) {
  return hashSamples(sampled(luma, width, reduced(height), reduced(width)));
}

/**
 * Return the samples, 64 x 64, of luma with rows of `width` pixels.
 * @param {ArrayLike<number>} luma
 * @param {number} width
 * @param {import('./axes.js').Axis} rows
 * @param {import('./axes.js').Axis} columns
 */
export function sampled(luma, width, rows, columns) {
  return sampledColumns(sampledRows(luma, width, rows), width, columns);
}

/**
 * Return the rows that are sampled, 64 x width.
 * @param {ArrayLike<number>} luma
 * @param {number} width
 * @param {import('./axes.js').Axis} axis
 */
export function sampledRows(luma, width, axis) {
  const samples = new Float32Array(SAMPLES * width);
  const sums = new Float64Array(width);
  axis.weights.forEach((weights, sample) => {
    sums.fill(0);
    let at = axis.starts[sample] * width;
    let row = 0;
    // Two rows at a time: each sum is read and written once for them.
    for (; row + 1 < weights.length; row += 2, at += 2 * width) {
      const [weight, next] = [weights[row], weights[row + 1]];
      for (let x = 0; x < width; x++) sums[x] += weight * luma[at + x] + next * luma[at + width + x];
    }
    if (row < weights.length) {
      for (let x = 0; x < width; x++) sums[x] += weights[row] * luma[at + x];
    }
    samples.set(sums, sample * width);
  });
  return samples;
}

/**
 * Return the samples, 64 x 64, of rows that are sampled already.
 * @param {ArrayLike<number>} rows
 * @param {number} width
 * @param {import('./axes.js').Axis} axis
 */
export function sampledColumns(rows, width, axis) {
  const samples = new Float32Array(SAMPLES * SAMPLES);
  axis.weights.forEach((weights, sample) => {
    let at = axis.starts[sample];
    for (let row = 0; row < SAMPLES; row++, at += width) {
      let sum = 0;
      for (let x = 0; x < weights.length; x++) sum += weights[x] * rows[at + x];
      samples[row * SAMPLES + sample] = sum;
    }
  });
  return samples;
}

/**
 * Hash blurred samples, 64 x 64.
 * @param {Float32Array} samples
 * @returns {Hashed}
 */
export function hashSamples(samples) {
  return hashCoefficients(coefficientsOf(samples), qualityOf(samples));
}

/**
 * Hash coefficients, 16 x 16, of samples of a quality.
 * @param {Float32Array} coefficients
 * @param {number} quality
 * @returns {Hashed}
 */
export function hashCoefficients(coefficients, quality) {
  const median = coefficients.slice().sort()[HASH_BITS / 2 - 1];
  const hash = new Uint8Array(HASH_BYTES);
  let undecidedBits = 0;
  for (let bit = 0; bit < HASH_BITS; bit++) {
    const coefficient = coefficients[bit];
    // The published hex begins with the last bit.
    if (coefficient > median) hash[HASH_BYTES - 1 - (bit >> 3)] |= 1 << (bit & 7);
    if (Math.abs(Math.fround(coefficient - median)) < UNDECIDED) undecidedBits++;
  }
  return { hash, quality, undecidedBits };
}

/**
 * Return the share of samples that equal the next one in row and column, 0-1.
 * @param {Float32Array} samples
 */
export function plainShare(samples) {
  let plain = 0;
  for (let row = 0; row < SAMPLES - 1; row++) {
    for (let at = row * SAMPLES; at < (row + 1) * SAMPLES - 1; at++) {
      const across = Math.abs(Math.fround(samples[at + 1] - samples[at]));
      const down = Math.abs(Math.fround(samples[at + SAMPLES] - samples[at]));
      if (across < STEP && down < STEP) plain++;
    }
  }
  return plain / (SAMPLES - 1) ** 2;
}

/**
 * Return the distance of two hashes in bits, 0-256.
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 */
export function distanceBits(left, right) {
  let bits = 0;
  for (let at = 0; at < HASH_BYTES; at++) bits += BITS_OF_BYTE[left[at] ^ right[at]];
  return bits;
}

const BITS_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest; rest >>= 1) bits += rest & 1;
  return bits;
});

/**
 * Return the coefficients, 16 x 16, of samples, 64 x 64.
 * @param {Float32Array} samples
 */
export function coefficientsOf(samples) {
  const rows = transformed(samples, SAMPLES);
  return transformed(rows, COEFFICIENTS);
}

/**
 * Transform the columns of a matrix of 64 rows, and transpose it: columns x 16.
 * @param {Float32Array} matrix 64 x columns
 * @param {number} columns
 */
function transformed(matrix, columns) {
  const result = new Float32Array(columns * COEFFICIENTS);
  for (let column = 0; column < columns; column++) {
    // Four coefficients at a time: each value is read once for them.
    for (let first = 0; first < COEFFICIENTS; first += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let at = column, of = first; at < matrix.length; at += columns, of += COEFFICIENTS) {
        const value = matrix[at];
        a += COSINES[of] * value;
        b += COSINES[of + 1] * value;
        c += COSINES[of + 2] * value;
        d += COSINES[of + 3] * value;
      }
      const to = column * COEFFICIENTS + first;
      result[to] = a;
      result[to + 1] = b;
      result[to + 2] = c;
      result[to + 3] = d;
    }
  }
  return result;
}

/**
 * Return PDQ's quality: steps between neighbours, in whole hundredths of the range, over 90.
 * @param {Float32Array} samples
 */
export function qualityOf(samples) {
  let steps = 0;
  for (let row = 0; row < SAMPLES; row++) {
    for (let column = 0; column < SAMPLES; column++) {
      const at = row * SAMPLES + column;
      if (column + 1 < SAMPLES) steps += inHundredths(samples[at + 1] - samples[at]);
      if (row + 1 < SAMPLES) steps += inHundredths(samples[at + SAMPLES] - samples[at]);
    }
  }
  return Math.min(Math.floor(steps / 90), 100);
}

/** @param {number} step of luma, of either sign */
function inHundredths(step) {
  const { fround } = Math;
  return Math.abs(Math.trunc(fround(fround(fround(step) * 100) / 255)));
}
