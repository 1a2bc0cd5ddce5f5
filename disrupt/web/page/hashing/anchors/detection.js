/**
 * Anchors of a page: extrema of a scale space of differences of Gaussians, with their orientations.
 *
 * Port of `disrupt/hashing/anchors/detection.py`; docs/anchors.md has every step.
 */

import { BORDER_PX, LAYERS, SIGMA_PX, extremaOf } from './extrema.js';
import { orientations } from './orientations.js';
import { PAGE_PX, blurred } from './pages.js';

/** Blur that any picture has already. */
const SHARP_SIGMA_PX = 0.5;

const OCTAVES = 4;

/** Sides of the regions of an extremum, in the blur at which it is. */
const SIDES_SIGMAS = [16, 24, 11];

/** Least side of a region of a page. */
const MIN_SIDE_PX = 60;

/** Blur from each scale of an octave to the next. */
const BLURS_PX = Array.from(
  { length: LAYERS + 2 },
  (_, at) => SIGMA_PX * 2 ** (at / LAYERS) * Math.sqrt(2 ** (2 / LAYERS) - 1),
);

/**
 * A square on a page: centre in px, 0 at its corner; side in px; angle in radians, clockwise.
 * @typedef {{x: number, y: number, side: number, angle: number}} Anchor
 */

/** @typedef {import('./pages.js').Image} Image */
/** @typedef {{x: number, y: number, sigma: number, angle: number, response: number}} Oriented */

/**
 * Return the anchors of a page, of which `pages` are the halvings, in their order.
 * @param {Image[]} pages
 * @returns {Anchor[]}
 */
export function findAnchors(pages) {
  if (!pages.length) return [];
  const { width, height } = pages[0];
  const oriented = orientedExtrema(pages[1], width, height);
  return SIDES_SIGMAS.flatMap((sigmas) => {
    const regions = [];
    for (const { x, y, sigma, angle, response } of oriented) {
      const side = sigmas * sigma;
      const reach = (side / 2) * (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle)));
      const isInside = Math.min(x, width - x) >= reach && Math.min(y, height - y) >= reach;
      if (side >= MIN_SIDE_PX && isInside) regions.push({ x, y, side, angle, response });
    }
    return ordered(regions);
  });
}

/**
 * Return the extrema of a page, from its half, in px of the page.
 * @param {Image} image
 * @param {number} width
 * @param {number} height
 * @returns {Oriented[]}
 */
function orientedExtrema(image, width, height) {
  /** @type {Oriented[]} */
  const oriented = [];
  let first = blurred(image, Math.sqrt(SIGMA_PX ** 2 - SHARP_SIGMA_PX ** 2));
  for (let octave = 0; octave < OCTAVES; octave++) {
    if (Math.min(first.width, first.height) <= 2 * BORDER_PX) break;
    const px = 2 << octave; // of the page, in a pixel of the octave
    const scales = [first];
    for (const blurPx of BLURS_PX) scales.push(blurred(scales[scales.length - 1], blurPx));
    const extrema = extremaOf(scales).filter((extremum) => {
      const [x, y, sigma] = [px * extremum.x + 1, px * extremum.y + 1, px * extremum.sigma];
      // Where even the circle within its smallest square reaches out of the page, so do all.
      const room = Math.min(x, width - x, y, height - y);
      const least = Math.max(Math.min(...SIDES_SIGMAS) * sigma, MIN_SIDE_PX);
      return Math.max(...SIDES_SIGMAS) * sigma >= MIN_SIDE_PX && least <= 2 * room;
    });
    for (const [{ x, y, sigma, response }, angle] of orientations(scales, extrema)) {
      oriented.push({ x: px * x + 1, y: px * y + 1, sigma: px * sigma, angle, response });
    }
    first = everySecond(scales[LAYERS]);
  }
  return oriented;
}

/**
 * Order by rank of response among sides of one half octave; the largest first of equal rank.
 * @param {(Anchor & {response: number})[]} regions
 */
function ordered(regions) {
  const ofSize = regions.map((region) => ({
    region,
    size: Math.floor(2 * Math.log2(region.side / PAGE_PX)),
    rank: 0,
  }));
  ofSize.sort((one, other) => one.size - other.size || other.region.response - one.region.response);
  ofSize.forEach((entry, at) => {
    const before = ofSize[at - 1];
    entry.rank = before?.size === entry.size ? before.rank + 1 : 0;
  });
  ofSize.sort((one, other) => one.rank - other.rank || other.size - one.size);
  return ofSize.map(({ region }) => region);
}

/**
 * Return every second pixel of every second row.
 * @param {Image} image
 * @returns {Image}
 */
function everySecond({ pixels, width, height }) {
  const [columns, rows] = [(width + 1) >> 1, (height + 1) >> 1];
  const result = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[row * columns + column] = pixels[2 * (row * width + column)];
    }
  }
  return { pixels: result, width: columns, height: rows };
}
