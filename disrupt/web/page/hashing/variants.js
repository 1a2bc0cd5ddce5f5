/**
 * Variant plans 1 and 2: crops, parts and turns of a picture, hashed for registration.
 *
 * Port of `disrupt/hashing/variants.py`.
 */

import { REDUCED_PX, cropped } from './axes.js';
import { distanceBits, hashSamples, plainShare, sampledColumns, sampledRows } from './pdq.js';
import { turned } from './rotation.js';
import {
  MAX_PLAIN_SHARE,
  MAX_UNDECIDED_BITS_OF_PARTS,
  MIN_QUALITY,
  NEAR_BITS,
  PLANS,
  PROFILES,
  VARIANT_PLANS,
} from './tables.js';

const WHOLE_PERMILLE = 1000;

/** @typedef {import('./fingerprints.js').Fingerprint} Fingerprint */
/** @typedef {{luma: Uint8Array, width: number, height: number}} Luma */
/** @typedef {{plan: number, ordinal: number, crop: number[]}} Variant */

/**
 * Fingerprint an upright picture in both plans.
 *
 * In the plans' order; left out are parts of low quality, parts whose hash noise decides, shapes on
 * plain pages, and what is within NEAR_BITS of a hash before it.
 * @param {Luma} picture also if it was reduced to a square
 * @param {number} aspect width over height of the picture
 * @param {Fingerprint[]} kept stored already
 * @param {(share: number) => Promise<void>} step awaited between turns, with the share that is done
 * @returns {Promise<Fingerprint[]>}
 */
export async function variants(picture, aspect, kept, step) {
  const byTurn = variantsByTurn(aspect);
  const upright = Float32Array.from(picture.luma);
  const coarse = halved(picture);
  /** @type {Fingerprint[]} */
  const candidates = [];
  let done = 0;
  for (const [millidegrees, some] of byTurn) {
    if (millidegrees === 0) {
      candidates.push(...hashParts(upright, picture.width, picture.height, some));
    } else {
      const { luma, width, height } = coarse;
      const shown = turned(luma, width, height, millidegrees / 1000, aspect);
      candidates.push(...hashParts(shown, width, height, some));
    }
    await step(++done / byTurn.size);
  }
  candidates.sort((left, right) => left.plan - right.plan || left.ordinal - right.ordinal);
  const stored = kept.map(({ hash }) => hash);
  return candidates.filter(({ hash }) => {
    const isNew = stored.every((other) => distanceBits(hash, other) > NEAR_BITS);
    if (isNew) stored.push(hash);
    return isNew;
  });
}

/**
 * Return the versions of both plans by their turn, in thousandths of a degree.
 * @param {number} aspect
 * @returns {Map<number, Variant[]>}
 */
function variantsByTurn(aspect) {
  const byTurn = new Map();
  for (const plan of VARIANT_PLANS) {
    // The second half of a plan is for pictures taller than wide.
    const half = PLANS[plan].length / 2;
    const first = aspect >= 1 ? 0 : half;
    for (let ordinal = first; ordinal < first + half; ordinal++) {
      const millidegrees = PLANS[plan][ordinal][4];
      if (!byTurn.has(millidegrees)) byTurn.set(millidegrees, []);
      byTurn.get(millidegrees).push({ plan, ordinal, crop: PLANS[plan][ordinal].slice(0, 4) });
    }
  }
  return byTurn;
}

/**
 * Hash parts of a picture, without those of low quality and on plain pages.
 * @param {Float32Array} luma
 * @param {number} width
 * @param {number} height
 * @param {Variant[]} some
 * @returns {Fingerprint[]}
 */
function hashParts(luma, width, height, some) {
  /** @type {Map<string, Float32Array>} */
  const rowsOf = new Map();
  const fingerprints = [];
  for (const { plan, ordinal, crop } of some) {
    const [left, top, right, bottom] = crop;
    const key = `${top} ${bottom}`;
    let rows = rowsOf.get(key);
    if (!rows) {
      rows = sampledRows(luma, width, cropped(height, top, WHOLE_PERMILLE - bottom));
      rowsOf.set(key, rows);
    }
    const samples = sampledColumns(rows, width, cropped(width, left, WHOLE_PERMILLE - right));
    const { hash, quality, undecidedBits } = hashSamples(samples);
    const isKept =
      quality >= MIN_QUALITY &&
      undecidedBits <= MAX_UNDECIDED_BITS_OF_PARTS &&
      plainShare(samples) <= MAX_PLAIN_SHARE;
    if (isKept) {
      const profile = PROFILES.PDQ_512;
      fingerprints.push({ hash, quality, profile, plan, ordinal, startMs: 0, endMs: 0 });
    }
  }
  return fingerprints;
}

/**
 * Halve the canonical square, so that turning takes a quarter of the time; 32-bit luma.
 * @param {Luma} picture
 */
function halved({ luma, width, height }) {
  if (width !== REDUCED_PX || height !== REDUCED_PX) {
    return { luma: Float32Array.from(luma), width, height };
  }
  const half = REDUCED_PX / 2;
  const small = new Float32Array(half * half);
  for (let row = 0; row < half; row++) {
    for (let column = 0; column < half; column++) {
      const at = 2 * (row * REDUCED_PX + column);
      const below = at + REDUCED_PX;
      small[row * half + column] = (luma[at] + luma[at + 1] + luma[below] + luma[below + 1]) / 4;
    }
  }
  return { luma: small, width: half, height: half };
}
