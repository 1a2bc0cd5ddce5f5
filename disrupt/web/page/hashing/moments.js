/**
 * What is stored of the frames of a video: moments that differ, each with the time that it covers.
 *
 * Port of `fingerprints_of` in `disrupt/core/videos.py`.
 */

import { distanceBits } from './pdq.js';
import { ENLARGED, PDQ_512, PLAIN_EDGES_CUT } from './tables.js';

/**
 * One way in which a frame is hashed. `dihedral`: turned before; `isCut`: without plain edges.
 * @typedef {object} Version
 * @property {Uint8Array} hash
 * @property {number} quality
 * @property {boolean} isUsable distinctive and trustworthy
 * @property {number} dihedral
 * @property {boolean} isCut
 */

/** @typedef {{startMs: number, endMs: number, versions: Version[]}} Frame */

const HASHES_PER_HOUR = 2000;
const HOUR_MS = 3_600_000;

/** Hashes that a video of any length may have: a minute of frames that all differ. */
const HASHES_ALWAYS = 240;

/** Distances within which frames count as one; the next is used where too many are left. */
const DISTINCT_BITS = [10, 14, 18, 22];

/** Multiples of the golden ratio are spread evenly over the time, and meet no period in it. */
const UNEVEN = (5 ** 0.5 - 1) / 2;

/**
 * Return the fingerprints to store of frames, ascending: at most 2000 an hour, 240 always.
 *
 * A frame whose versions are all near those of the frame stored before it extends that one's
 * interval. Versions that are not usable are left out; a frame without any ends the interval before
 * it. Where there are too many, frames count as near at up to 22 bits, then some are left out.
 * @param {Frame[]} frames at least one
 * @param {boolean} areSmall no frame has a side of over 512 px
 * @returns {import('./fingerprints.js').Fingerprint[]}
 */
export function fingerprintsOf(frames, areSmall) {
  const durationMs = frames[frames.length - 1].endMs;
  const most = Math.max(HASHES_ALWAYS, Math.floor((HASHES_PER_HOUR * durationMs) / HOUR_MS));
  let moments = frames;
  for (const bits of DISTINCT_BITS) {
    moments = distinct(frames, bits);
    if (moments.reduce((sum, { versions }) => sum + versions.length, 0) <= most) break;
  }
  return some(moments, most).flatMap(({ startMs, endMs, versions }) =>
    versions.map(({ hash, quality, isCut }) => {
      const ordinal = (areSmall ? ENLARGED : 0) + (isCut ? PLAIN_EDGES_CUT : 0);
      return { hash, quality, profile: PDQ_512, plan: 0, ordinal, startMs, endMs };
    }),
  );
}

/**
 * Merge neighbours that are near each other, and keep what is usable.
 * @param {Frame[]} frames
 * @param {number} bits
 */
function distinct(frames, bits) {
  /** @type {Frame[]} */
  const moments = [];
  /** @type {Version[]} */
  let last = [];
  for (const { startMs, endMs, versions } of frames) {
    const usable = versions.filter(({ isUsable }) => isUsable);
    if (usable.length && areNear(usable, last, bits)) {
      moments[moments.length - 1].endMs = endMs;
      continue;
    }
    last = usable;
    if (usable.length) moments.push({ startMs, endMs, versions: usable });
  }
  return moments;
}

/**
 * Tell whether two frames have the same versions, and each pair is within `bits`.
 * @param {Version[]} shown
 * @param {Version[]} stored
 * @param {number} bits
 */
function areNear(shown, stored, bits) {
  return (
    shown.length === stored.length &&
    shown.every(({ hash, dihedral, isCut }, at) => {
      const other = stored[at];
      const isSame = other.dihedral === dihedral && other.isCut === isCut;
      return isSame && distanceBits(hash, other.hash) <= bits;
    })
  );
}

/**
 * Leave out moments, at uneven steps: even ones would keep the same picture every time where
 * several alternate.
 * @param {Frame[]} moments
 * @param {number} most hashes that are kept
 */
function some(moments, most) {
  const place = (/** @type {number} */ at) => (at * UNEVEN) % 1;
  const order = moments.map((_, at) => at).sort((left, right) => place(left) - place(right));
  let hashes = 0;
  const kept = order.filter((at) => (hashes += moments[at].versions.length) <= most);
  return kept.sort((left, right) => left - right).map((at) => moments[at]);
}
