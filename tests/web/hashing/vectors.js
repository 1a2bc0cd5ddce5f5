/** Comparison of what the page's modules make of drawings with what Python makes of them. */

import { pages } from '../../../disrupt/web/page/hashing/anchors/pages.js';
import { candidates, qualityIfGood } from '../../../disrupt/web/page/hashing/anchors/regions.js';
import { fingerprintPicture } from '../../../disrupt/web/page/hashing/fingerprints.js';
import { LumaReader } from '../../../disrupt/web/page/hashing/luma.js';
import { qualityOf } from '../../../disrupt/web/page/hashing/pdq.js';
import { draw } from './drawings.js';

const STRIP_ROWS = 100;

/** How far places, in px, and angles, in radians, may be apart. */
const NEAR = 2e-5;

/** @typedef {import('../../../disrupt/web/page/hashing/shapes.js').Shapes} Shapes */

/**
 * An entry of vectors.json: a drawing, what is registered of it or why nothing is, and regions.
 * @typedef {import('./drawings.js').Drawing & {registered: unknown, regions: string[]}} Expected
 */

/**
 * Return what differs, in words; nothing if all is equal.
 * @param {Expected[]} vectors
 * @param {Shapes} shapes
 */
export async function differences(vectors, shapes) {
  const differing = [];
  for (const drawing of vectors) {
    const { width, height, kind, seed } = drawing;
    const reader = read(draw(drawing), width, height);
    const actual = JSON.stringify(await registered(reader, shapes));
    const expected = JSON.stringify(drawing.registered);
    const name = `${kind} ${seed}, ${width} x ${height}`;
    if (actual !== expected) differing.push(`${name}: ${actual} instead of ${expected}`);
    const regions = regionsOf(reader);
    if (regions.length !== drawing.regions.length) differing.push(`${name}: ${regions.length} regions`);
    regions.forEach((region, at) => {
      if (!isNear(region, drawing.regions[at])) {
        differing.push(`${name}, region ${at}: ${region} instead of ${drawing.regions[at]}`);
      }
    });
  }
  return differing;
}

/**
 * Read opaque pixels.
 * @param {Uint8Array | Uint8ClampedArray} rgba
 * @param {number} width
 * @param {number} height
 */
function read(rgba, width, height) {
  const reader = new LumaReader(width, height);
  for (let top = 0; top < height; top += STRIP_ROWS) {
    reader.add(rgba.subarray(4 * width * top, 4 * width * Math.min(top + STRIP_ROWS, height)));
  }
  return reader;
}

/**
 * Return what is registered of a picture, as the vectors hold it.
 * @param {LumaReader} reader
 * @param {Shapes} shapes
 */
export async function registered(reader, shapes) {
  const outcome = await fingerprintPicture(reader, shapes, async () => {});
  return Array.isArray(outcome) ? outcome.map(rowOf) : outcome;
}

/**
 * Return the candidates of a page, as the vectors hold them.
 * @param {LumaReader} reader
 */
function regionsOf(reader) {
  const regions = candidates(pages(reader.canonical(), reader.width / reader.height));
  return regions.map((region) => {
    const { x, y, side, angle } = region.anchor;
    const place = [x, y, side, angle].map((value) => value.toFixed(5)).join(' ');
    const isGood = qualityIfGood(region, regions) >= 0;
    return `${place} ${qualityOf(region.samples)} ${Number(isGood)} ${hex(region.hashed.hash)}`;
  });
}

/**
 * Tell whether regions have equal hashes, and places that differ by rounding only.
 * @param {string} actual
 * @param {string | undefined} expected
 */
function isNear(actual, expected) {
  const [ours, theirs] = [actual.split(' '), (expected ?? '').split(' ')];
  return ours.every((value, at) =>
    at < 4 ? Math.abs(Number(value) - Number(theirs[at])) <= NEAR : value === theirs[at],
  );
}

/** @param {import('../../../disrupt/web/page/hashing/fingerprints.js').Fingerprint} fingerprint */
export function rowOf({ hash, quality, profile, plan, ordinal }) {
  return `${profile} ${plan} ${ordinal} ${quality} ${hex(hash)}`;
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
