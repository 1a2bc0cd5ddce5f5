/**
 * Angles of extrema: peaks of the gradients around them.
 *
 * Port of `_orientations` in `disrupt/hashing/anchors/detection.py`, in the same order of
 * operations and with 32 bits where NumPy has them.
 */

import { LAYERS } from './extrema.js';
import { rounded } from './pages.js';

const { fround } = Math;

const BINS = 36;

/** Steepness at which a quarter's bins of gradients end. */
const TANGENTS = Float32Array.from({ length: 9 }, (_, at) =>
  Math.tan((5 + 10 * at) * (Math.PI / 180)),
);

/** Least share of the highest peak of gradients that is an orientation of its own. */
const PEAK_SHARE = 0.8;

/** @typedef {import('./extrema.js').Extremum} Extremum */
/** @typedef {import('./pages.js').Image} Image */

/**
 * Return extrema, each with one of its angles in radians, clockwise.
 * @param {Image[]} scales of the octave
 * @param {Extremum[]} extrema
 * @returns {[Extremum, number][]}
 */
export function orientations(scales, extrema) {
  /** @type {[Extremum, number][]} */
  const oriented = [];
  for (let layer = 1; layer <= LAYERS; layer++) {
    for (const extremum of extrema) {
      if (extremum.layer !== layer) continue;
      for (const angle of peaks(histogram(scales[layer], extremum))) {
        oriented.push([extremum, angle]);
      }
    }
  }
  return oriented;
}

/**
 * Return how the gradients around an extremum point, weighed by a Gaussian and smoothed.
 * @param {Image} scale
 * @param {Extremum} extremum
 */
function histogram({ pixels, width, height }, { row, column, sigma }) {
  const radius = rounded(4.5 * sigma);
  const spread = -1 / (2 * (1.5 * sigma) ** 2);
  const weights = new Float32Array(radius + 1);
  for (let away = 0; away <= radius; away++) weights[away] = Math.exp(away ** 2 * spread);
  const sums = new Float64Array(BINS);
  // Gradients at the edges of a scale count as zero.
  const [top, bottom] = [Math.max(row - radius, 1), Math.min(row + radius, height - 2)];
  const [left, right] = [Math.max(column - radius, 1), Math.min(column + radius, width - 2)];
  for (let y = top; y <= bottom; y++) {
    const ofRow = weights[Math.abs(y - row)];
    for (let x = left; x <= right; x++) {
      const at = y * width + x;
      const down = pixels[at + width] - pixels[at - width];
      const across = pixels[at + 1] - pixels[at - 1];
      const length = fround(Math.sqrt(fround(fround(across * across) + fround(down * down))));
      const weight = fround(fround(length * ofRow) * weights[Math.abs(x - column)]);
      sums[binOf(across, down)] += weight;
    }
  }
  return sums.map((here, at) => {
    const near = sums[(at + BINS - 1) % BINS] + sums[(at + 1) % BINS];
    const far = sums[(at + BINS - 2) % BINS] + sums[(at + 2) % BINS];
    return (far + 4 * near + 6 * here) / 16;
  });
}

/**
 * Return the bin that a gradient points to; without an arc tangent, which libraries round
 * differently.
 * @param {number} across
 * @param {number} down
 */
function binOf(across, down) {
  const steep = Math.abs(down);
  const flat = Math.abs(across);
  let bin = steep > fround(TANGENTS[4] * flat) ? 5 : 0;
  const end = bin + 4;
  while (bin < end && steep > fround(TANGENTS[bin] * flat)) bin++;
  if (across < 0) bin = BINS / 2 - bin;
  return down < 0 ? (BINS - bin) % BINS : bin;
}

/**
 * Return the angles of the peaks of a histogram.
 * @param {Float64Array} bins
 */
function peaks(bins) {
  const least = PEAK_SHARE * Math.max(...bins);
  const angles = [];
  for (let at = 0; at < BINS; at++) {
    const [left, here, right] = [bins[(at + BINS - 1) % BINS], bins[at], bins[(at + 1) % BINS]];
    if (here > left && here > right && here >= least) {
      const place = at + (0.5 * (left - right)) / (left - 2 * here + right);
      angles.push(place * ((2 * Math.PI) / BINS));
    }
  }
  return angles;
}
