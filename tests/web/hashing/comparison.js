/** Comparison of what the page's modules make of drawings with what Python makes of them. */

import { fingerprintPicture } from '../../../disrupt/web/page/hashing/fingerprints.js';
import { LumaReader } from '../../../disrupt/web/page/hashing/luma.js';
import { draw } from './drawings.js';

const STRIP_ROWS = 100;

/** @typedef {import('../../../disrupt/web/page/hashing/shapes.js').Shapes} Shapes */

/**
 * An entry of vectors.json: a drawing, and what is registered of it or why nothing is.
 * @typedef {object} Expected
 * @property {string} luma SHA-256 of the canonical luma, in hex
 * @property {string[]} [fingerprints]
 * @property {{cause: string, quality: number}} [refused]
 */

/**
 * Return what differs, in words; nothing if all is equal.
 * @param {(Expected & import('./drawings.js').Drawing)[]} vectors
 * @param {Shapes} shapes
 */
export async function differences(vectors, shapes) {
  const differing = [];
  for (const expected of vectors) {
    const { width, height, kind, seed } = expected;
    const actual = await registered(draw(expected), width, height, shapes);
    const name = `${kind} ${seed}, ${width} x ${height}`;
    if (actual.luma !== expected.luma) differing.push(`${name}: luma`);
    for (const part of /** @type {const} */ (['refused', 'fingerprints'])) {
      const [is, shouldBe] = [actual, expected].map((each) => JSON.stringify(each[part]));
      if (is !== shouldBe) differing.push(`${name}: ${part} ${is} instead of ${shouldBe}`);
    }
  }
  return differing;
}

/**
 * Return what is registered of opaque pixels, as the vectors hold it.
 * @param {Uint8Array | Uint8ClampedArray} rgba
 * @param {number} width
 * @param {number} height
 * @param {Shapes} shapes
 * @returns {Promise<Expected>}
 */
export async function registered(rgba, width, height, shapes) {
  const reader = new LumaReader(width, height);
  for (let top = 0; top < height; top += STRIP_ROWS) {
    reader.add(rgba.subarray(4 * width * top, 4 * width * Math.min(top + STRIP_ROWS, height)));
  }
  const outcome = await fingerprintPicture(reader, shapes, async () => {});
  const luma = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', reader.canonical().luma)));
  if ('refused' in outcome) return { luma, refused: outcome.refused };
  return { luma, fingerprints: outcome.fingerprints.map(rowOf) };
}

/** @param {import('../../../disrupt/web/page/hashing/fingerprints.js').Fingerprint} fingerprint */
export function rowOf({ hash, quality, profile, plan, ordinal }) {
  return `${profile} ${plan} ${ordinal} ${quality} ${hex(hash)}`;
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
