/**
 * Variant plans 1 and 2: crops, parts and turns of a picture.
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
  PDQ_512,
  PLANS,
} from './tables.js';

const WHOLE_PERMILLE = 1000;

/** @typedef {import('./fingerprints.js').Fingerprint} Fingerprint */
/** @typedef {{luma: Uint8Array | Float32Array, width: number, height: number}} Luma */
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
  const coarse = halved(picture);
  /** @type {Fingerprint[]} */
  const candidates = [];
  let done = 0;
  for (const [millidegrees, some] of byTurn) {
    const shown = millidegrees
      ? turned(coarse, millidegrees / 1000, aspect)
      : { ...picture, luma: Float32Array.from(picture.luma) };
    candidates.push(...hashParts(shown, some));
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
 * Return the variants of both plans by their turn, in thousandths of a degree.
 * @param {number} aspect
 * @returns {Map<number, Variant[]>}
 */
function variantsByTurn(aspect) {
  const isTall = aspect < 1;
  const byTurn = new Map();
  for (const [plan, rows] of Object.entries(PLANS)) {
    rows.forEach(([left, top, right, bottom, turn], at) => {
      const crop = isTall ? [top, left, bottom, right] : [left, top, right, bottom];
      const millidegrees = isTall ? 0 - turn : turn;
      if (!byTurn.has(millidegrees)) byTurn.set(millidegrees, []);
      const ordinal = isTall ? rows.length + at : at;
      byTurn.get(millidegrees).push({ plan: Number(plan), ordinal, crop });
    });
  }
  return byTurn;
}

/**
 * Hash parts of a picture, without those of low quality and on plain pages.
 * @param {Luma} picture
 * @param {Variant[]} some
 * @returns {Fingerprint[]}
 */
function hashParts({ luma, width, height }, some) {
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
      fingerprints.push({ hash, quality, profile: PDQ_512, plan, ordinal, startMs: 0, endMs: 0 });
    }
  }
  return fingerprints;
}

/**
 * Halve the canonical square, so that turning takes a quarter of the time; 32-bit luma.
 * @param {Luma} picture
 * @returns {Luma}
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
