/** What is registered of a picture. Port of `fingerprint_image` in `disrupt/hashing/registration.py`. */

import { hashLuma, hashReduced } from './pdq.js';
import {
  ENLARGED,
  MAX_UNDECIDED_BITS,
  MIN_QUALITY,
  PDQ_512,
  PDQ_FULL,
  REGISTERED_SHAPE_BITS,
  SHAPE_BITS,
} from './tables.js';
import { variants } from './variants.js';

/**
 * One hash, of 32 bytes, of one version of a media item; `profile` and the rest as in proto/.
 * @typedef {object} Fingerprint
 * @property {Uint8Array} hash
 * @property {number} quality 0-100
 * @property {number} profile
 * @property {number} plan
 * @property {number} ordinal
 * @property {number} startMs
 * @property {number} endMs
 */

/**
 * Why nothing is registered of a picture; `quality` is PDQ's.
 * @typedef {{reason: 'featureless' | 'too-regular', quality: number}} LowQuality
 */

/** @typedef {import('./pdq.js').Hashed} Hashed */
/** @typedef {import('./shapes.js').Shapes} Shapes */

/**
 * Fingerprint a picture of which all rows were read, in variant plans 0 and 1, the canonical
 * fingerprint first.
 * @param {import('./luma.js').LumaReader} picture
 * @param {Shapes} shapes
 * @param {(share: number) => Promise<void>} step awaited now and then, with the share that is done
 * @returns {Promise<Fingerprint[] | LowQuality>}
 */
export async function fingerprintPicture(picture, shapes, step) {
  const { luma, width, height } = picture.canonical();
  const canonical = hashLuma(luma, width, height);
  const refused = lowQuality(canonical, shapes, REGISTERED_SHAPE_BITS);
  if (refused) return refused;
  const own = plainFingerprints(picture, canonical, shapes);
  const aspect = picture.width / picture.height;
  return [...own, ...(await variants({ luma, width, height }, aspect, own, step))];
}

/**
 * Fingerprint a picture in variant plan 0.
 * @param {import('./luma.js').LumaReader} picture
 * @param {Hashed} canonical
 * @param {Shapes} shapes
 */
function plainFingerprints(picture, canonical, shapes) {
  const fingerprints = [fingerprint(canonical, PDQ_512, 0)];
  const isOther = (/** @type {Hashed} */ hashed) =>
    hashed.hash.some((byte, at) => byte !== canonical.hash[at]);
  const full = picture.hashFull();
  // Where nothing was reduced, an equal hash adds nothing. A larger picture keeps both even when
  // they happen to be equal, so that readers who search one profile find it.
  if (!lowQuality(full, shapes, SHAPE_BITS) && (picture.isReduced || isOther(full))) {
    fingerprints.push(fingerprint(full, PDQ_FULL, 0));
  }
  if (!picture.isReduced) {
    const { luma, width, height } = picture.canonical();
    const enlarged = hashReduced(luma, width, height);
    if (!lowQuality(enlarged, shapes, SHAPE_BITS) && isOther(enlarged)) {
      fingerprints.push(fingerprint(enlarged, PDQ_512, ENLARGED));
    }
  }
  return fingerprints;
}

/**
 * Return why a hash of a whole picture is not registered, or null.
 * @param {Hashed} hashed
 * @param {Shapes} shapes
 * @param {number} shapeBits least distance from a simple shape
 * @returns {LowQuality | null}
 */
export function lowQuality({ hash, quality, undecidedBits }, shapes, shapeBits) {
  if (quality < MIN_QUALITY) return { reason: 'featureless', quality };
  if (undecidedBits > MAX_UNDECIDED_BITS || shapes.distanceBits(hash) < shapeBits) {
    return { reason: 'too-regular', quality };
  }
  return null;
}

/**
 * @param {Hashed} hashed
 * @param {number} profile
 * @param {number} ordinal
 * @returns {Fingerprint}
 */
function fingerprint({ hash, quality }, profile, ordinal) {
  return { hash, quality, profile, plan: 0, ordinal, startMs: 0, endMs: 0 };
}
