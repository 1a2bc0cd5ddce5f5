/** Comparison of what the page's modules make of drawings with what Python makes of them. */

import { fingerprintPicture } from '../../../disrupt/web/page/hashing/fingerprints.js';
import { LumaReader } from '../../../disrupt/web/page/hashing/luma.js';
import { draw } from './drawings.js';

const STRIP_ROWS = 100;

/** @typedef {import('../../../disrupt/web/page/hashing/shapes.js').Shapes} Shapes */

/**
 * An entry of vectors.json: a drawing, and what is registered of it or why nothing is.
 * @typedef {import('./drawings.js').Drawing & {registered: unknown}} Expected
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
    const actual = JSON.stringify(await registered(draw(drawing), width, height, shapes));
    const expected = JSON.stringify(drawing.registered);
    if (actual !== expected) {
      differing.push(`${kind} ${seed}, ${width} x ${height}: ${actual} instead of ${expected}`);
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
 */
export async function registered(rgba, width, height, shapes) {
  const reader = new LumaReader(width, height);
  for (let top = 0; top < height; top += STRIP_ROWS) {
    reader.add(rgba.subarray(4 * width * top, 4 * width * Math.min(top + STRIP_ROWS, height)));
  }
  const outcome = await fingerprintPicture(reader, shapes, async () => {});
  return Array.isArray(outcome) ? outcome.map(rowOf) : outcome;
}

/** @param {import('../../../disrupt/web/page/hashing/fingerprints.js').Fingerprint} fingerprint */
export function rowOf({ hash, quality, profile, plan, ordinal }) {
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${profile} ${plan} ${ordinal} ${quality} ${hex}`;
}
