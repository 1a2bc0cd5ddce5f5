/**
 * Samples of regions, and hashes of those that do not look like others.
 *
 * Port of `disrupt/hashing/anchors/hashes.py`.
 */

import { SAMPLES } from '../axes.js';
import {
  coefficientsOf,
  distanceBits,
  hashCoefficients,
  plainShare,
  qualityOf,
} from '../pdq.js';
import { MAX_PLAIN_SHARE, MAX_UNDECIDED_BITS_OF_PARTS } from '../tables.js';
import { findAnchors } from './detection.js';
import { LEVELS, inImageSteps, pages } from './pages.js';

const { fround } = Math;

/** Most regions of a page that are hashed. */
export const CANDIDATES = 128;

/** Number of largest steps whose share of all steps tells drawn marks on plain ground. */
const STEEPEST = 200;

/** Most of ten times that share and six times the share of the two fullest bins of levels. */
const MAX_DRAWN = 6.2;
const LEVEL_BINS = 32;

/** Regions that do not overlap and are nearer than this are of a pattern that repeats. */
const DISTINCT_BITS = 60;

/** Places of samples along a side of 1, from its centre. */
const PLACES = Float32Array.from({ length: SAMPLES }, (_, at) => (at + 0.5) / SAMPLES - 0.5);

/** @typedef {import('./detection.js').Anchor} Anchor */
/** @typedef {import('./pages.js').Image} Image */
/** @typedef {import('../pdq.js').Hashed} Hashed */

/**
 * A candidate: its samples, its hash, of a quality that is not known yet, and its mirror image's.
 * @typedef {{anchor: Anchor, samples: Float32Array, hashed: Hashed, mirrored: Uint8Array}} Region
 */

/**
 * Hash the first `most` good regions of luma.
 * @param {import('../variants.js').Luma} picture
 * @param {number} aspect width over height of the picture, or of the stretched one
 * @param {number} most
 * @param {number} leastQuality
 * @returns {Hashed[]}
 */
export function hashAnchors(picture, aspect, most, leastQuality) {
  const regions = candidates(pages(picture, aspect));
  const hashes = [];
  for (const region of regions) {
    if (hashes.length === most) break;
    const quality = qualityIfGood(region, regions);
    if (quality >= leastQuality) hashes.push({ ...region.hashed, quality });
  }
  return hashes;
}

/**
 * Return the regions of a page that are hashed, good or not.
 * @param {Image[]} halvings
 * @returns {Region[]}
 */
export function candidates(halvings) {
  const anchors = findAnchors(halvings).slice(0, CANDIDATES);
  return anchors.map((anchor) => {
    const samples = sampled(halvings, anchor);
    // What is zero by symmetry is not left to the order in which it was summed.
    const coefficients = coefficientsOf(samples).map(inImageSteps);
    const hashed = hashCoefficients(coefficients, 0);
    // With rows mirrored, every second row of coefficients changes its sign, the first one too.
    for (let at = 0; at < coefficients.length; at++) if (!(at & 16)) coefficients[at] *= -1;
    return { anchor, samples, hashed, mirrored: hashCoefficients(coefficients, 0).hash };
  });
}

/**
 * Return the quality of a region, or -1 if another rule leaves it out.
 * @param {Region} region
 * @param {Region[]} others of the page, and itself
 */
export function qualityIfGood(region, others) {
  const { samples, hashed } = region;
  const isGood =
    hashed.undecidedBits <= MAX_UNDECIDED_BITS_OF_PARTS &&
    plainShare(samples) <= MAX_PLAIN_SHARE &&
    !isDrawn(samples) &&
    !repeats(region, others);
  return isGood ? qualityOf(samples) : -1;
}

/**
 * Return samples of a region, bilinear from the halving that is fine enough.
 * @param {Image[]} halvings
 * @param {Anchor} anchor
 */
function sampled(halvings, { x, y, side, angle }) {
  const level = Math.min(Math.max(Math.floor(Math.log2(side / SAMPLES)), 0), LEVELS - 1);
  const { pixels, width, height } = halvings[level];
  const scale = 1 / (1 << level);
  const ux = fround(Math.cos(angle) * side * scale);
  const uy = fround(Math.sin(angle) * side * scale);
  const centreX = fround(fround(x * scale) - 0.5);
  const centreY = fround(fround(y * scale) - 0.5);
  const lastX = fround(width - 1.001);
  const lastY = fround(height - 1.001);
  const alongX = PLACES.map((place) => place * ux);
  const alongY = PLACES.map((place) => place * uy);
  const samples = new Float32Array(SAMPLES ** 2);
  for (let row = 0, to = 0; row < SAMPLES; row++) {
    const downX = alongY[row];
    const downY = alongX[row];
    for (let column = 0; column < SAMPLES; column++, to++) {
      const atX = fround(centreX + fround(alongX[column] - downX));
      const atY = fround(centreY + fround(alongY[column] + downY));
      const inX = atX < 0 ? 0 : atX > lastX ? lastX : atX;
      const inY = atY < 0 ? 0 : atY > lastY ? lastY : atY;
      const left = inX | 0;
      const top = inY | 0;
      const at = top * width + left;
      const upper = between(pixels[at], pixels[at + 1], inX - left);
      const lower = between(pixels[at + width], pixels[at + width + 1], inX - left);
      samples[to] = between(upper, lower, inY - top);
    }
  }
  return samples;
}

/**
 * @param {number} first
 * @param {number} second
 * @param {number} share of the second, 0-1
 */
function between(first, second, share) {
  return fround(first + fround(fround(second - first) * share));
}

/**
 * Tell whether samples are few marks on plain ground: drawn letters, charts, frames.
 * @param {Float32Array} samples
 */
function isDrawn(samples) {
  const side = SAMPLES - 1;
  const steps = new Float32Array(side ** 2);
  const counts = new Uint16Array(LEVEL_BINS);
  let total = 0;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = row * SAMPLES + column;
      const across = Math.abs(fround(samples[at + 1] - samples[at]));
      const step = fround(across + Math.abs(fround(samples[at + SAMPLES] - samples[at])));
      steps[row * side + column] = step;
      total += step;
    }
  }
  for (let at = 0; at < samples.length; at++) counts[(samples[at] * (LEVEL_BINS / 256)) | 0]++;
  const [first, second] = counts.sort().subarray(-2);
  const share = sumOfLargest(steps, STEEPEST) / Math.max(total, 1e-6);
  return 10 * share + (6 * (first + second)) / SAMPLES ** 2 > MAX_DRAWN;
}

/**
 * Return the sum of the largest of values that are not negative.
 * @param {Float32Array} values
 * @param {number} most how many
 */
function sumOfLargest(values, most) {
  // The bits of such numbers are ordered as the numbers are: count them by the upper half.
  const bits = new Uint32Array(values.buffer);
  const counts = new Uint16Array(2 ** 15);
  for (let at = 0; at < bits.length; at++) counts[bits[at] >>> 16]++;
  let upper = counts.length;
  let larger = 0;
  while (upper && larger + counts[upper - 1] <= most) larger += counts[--upper];
  let sum = 0;
  for (let at = 0; at < values.length; at++) if (bits[at] >>> 16 >= upper) sum += values[at];
  const rest = values.filter((_, at) => bits[at] >>> 16 === upper - 1).sort();
  for (const value of rest.subarray(rest.length - (most - larger))) sum += value;
  return sum;
}

/**
 * Tell whether a region looks like another one, or its mirror image, elsewhere on the page.
 * @param {Region} region
 * @param {Region[]} others
 */
function repeats({ anchor, hashed }, others) {
  return others.some((other) => {
    const { x, y, side } = other.anchor;
    const apart = Math.sqrt((anchor.x - x) ** 2 + (anchor.y - y) ** 2);
    if (apart <= Math.max(anchor.side, side) / 2) return false;
    return (
      distanceBits(hashed.hash, other.hashed.hash) < DISTINCT_BITS ||
      distanceBits(hashed.hash, other.mirrored) < DISTINCT_BITS
    );
  });
}
