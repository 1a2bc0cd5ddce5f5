/**
 * Variant plan 1: anchored regions, crops and turns of a picture.
 *
 * Port of `disrupt/hashing/variants.py`.
 */

import { hashAnchors } from './anchors/regions.js';
import { REDUCED_PX, cropped } from './axes.js';
import { distanceBits, hashSamples, plainShare, sampledColumns, sampledRows } from './pdq.js';
import { turned } from './rotation.js';
import {
  ANCHORED_MOST,
  ANCHORED_WIDTHS,
  MAX_PLAIN_SHARE,
  MAX_UNDECIDED_BITS_OF_PARTS,
  MIN_QUALITY,
  NEAR_BITS,
  PARTS_PLAN,
  PDQ_512,
  REGISTERED_MOST,
  VARIANTS,
} from './tables.js';

const WHOLE_PERMILLE = 1000;

/** Share of the time that anchored regions take, about; the rest is that of crops. */
const ANCHORED_SHARE = 0.6;

/** @typedef {import('./fingerprints.js').Fingerprint} Fingerprint */
/** @typedef {{luma: Uint8Array | Float32Array, width: number, height: number}} Luma */
/** @typedef {{ordinal: number, hash: Uint8Array, quality: number}} Part */

/**
 * Fingerprint an upright picture in plan 1.
 *
 * In the plan's order, until the picture has REGISTERED_MOST hashes; left out are parts of low
 * quality, parts whose hash noise decides, shapes on plain pages, and what is within NEAR_BITS of a
 * hash before it.
 * @param {Luma} picture also if it was reduced to a square
 * @param {number} aspect width over height of the picture
 * @param {Fingerprint[]} kept stored already
 * @param {(share: number) => Promise<void>} step awaited between parts, with the share that is done
 * @returns {Promise<Fingerprint[]>}
 */
export async function variants(picture, aspect, kept, step) {
  const stored = kept.map(({ hash }) => hash);
  /** @type {Fingerprint[]} */
  const chosen = [];
  const add = (/** @type {Part} */ part) => {
    const isNear = stored.some((other) => distanceBits(part.hash, other) <= NEAR_BITS);
    if (isNear || stored.length >= REGISTERED_MOST) return;
    stored.push(part.hash);
    chosen.push({ ...part, profile: PDQ_512, plan: PARTS_PLAN, startMs: 0, endMs: 0 });
  };
  let ordinal = 0;
  for (const [at, most] of ANCHORED_MOST.entries()) {
    const regions = hashAnchors(picture, ANCHORED_WIDTHS[at] * aspect, most, MIN_QUALITY);
    regions.forEach(({ hash, quality }, place) => add({ ordinal: ordinal + place, hash, quality }));
    ordinal += most;
    await step((ANCHORED_SHARE * ordinal) / sum(ANCHORED_MOST));
  }
  const crops = new Crops(picture, aspect);
  const first = ordinal + (aspect < 1 ? VARIANTS.length : 0);
  for (let at = 0; at < VARIANTS.length && stored.length < REGISTERED_MOST; at++) {
    const hashed = crops.hashed(VARIANTS[at]);
    if (hashed) add({ ordinal: first + at, hash: hashed.hash, quality: hashed.quality });
    await step(ANCHORED_SHARE + ((1 - ANCHORED_SHARE) * (at + 1)) / VARIANTS.length);
  }
  return chosen;
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Crops and turns of a picture, which share what they can. */
class Crops {
  /**
   * @param {Luma} picture
   * @param {number} aspect
   */
  constructor(picture, aspect) {
    this._picture = { ...picture, luma: Float32Array.from(picture.luma) };
    this._coarse = halved(this._picture);
    this._aspect = aspect;
    /** @type {Map<number, {shown: Luma, rows: Map<string, Float32Array>}>} */
    this._byTurn = new Map();
  }

  /**
   * Hash a variant; null if it is of low quality, decided by noise or of a plain page.
   * @param {number[]} variant
   */
  hashed([left, top, right, bottom, millidegrees]) {
    const isTall = this._aspect < 1;
    if (isTall) [left, top, right, bottom] = [top, left, bottom, right];
    const { shown, rows: sampledBefore } = this._turned(isTall ? 0 - millidegrees : millidegrees);
    const { luma, width, height } = shown;
    const key = `${top} ${bottom}`;
    const axis = cropped(height, top, WHOLE_PERMILLE - bottom);
    const rows = sampledBefore.get(key) ?? sampledRows(luma, width, axis);
    sampledBefore.set(key, rows);
    const samples = sampledColumns(rows, width, cropped(width, left, WHOLE_PERMILLE - right));
    const hashed = hashSamples(samples);
    const isKept =
      hashed.quality >= MIN_QUALITY &&
      hashed.undecidedBits <= MAX_UNDECIDED_BITS_OF_PARTS &&
      plainShare(samples) <= MAX_PLAIN_SHARE;
    return isKept ? hashed : null;
  }

  /**
   * Return the turned picture, and its rows that are sampled so far.
   * @param {number} millidegrees
   */
  _turned(millidegrees) {
    let turn = this._byTurn.get(millidegrees);
    if (!turn) {
      const shown = millidegrees
        ? turned(this._coarse, millidegrees / 1000, this._aspect)
        : this._picture;
      turn = { shown, rows: new Map() };
      this._byTurn.set(millidegrees, turn);
    }
    return turn;
  }
}

/**
 * Halve the canonical square, so that turning takes a quarter of the time.
 * @param {Luma} picture
 * @returns {Luma}
 */
function halved({ luma, width, height }) {
  if (width !== REDUCED_PX || height !== REDUCED_PX) return { luma, width, height };
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
