/** What is registered of a video. Port of `disrupt/hashing/videos/frames.py`. */

import { Refusal } from '../refusal.js';
import { SAMPLES, mirrored, reduced } from './axes.js';
import { lowQuality } from './fingerprints.js';
import { fingerprintsOf } from './moments.js';
import { combined, inverseOf } from './orientation.js';
import { hashSamples, sampled } from './pdq.js';
import { PlainEdges } from './plain_edges.js';
import { SHAPE_BITS } from './tables.js';

/**
 * Luma as stored, 8 bits, `width` x `height`; `gain` scales it to 0-255.
 * @typedef {{plane: Uint8Array, width: number, height: number, gain: number}} Luma
 */

/**
 * A frame and when it is shown, in ms from the first one. A substitute counts only if the scheduled
 * sample before it shows no detail; `isUsable` is set by whoever hashes a scheduled one.
 * @typedef {object} Sample
 * @property {number} timeMs
 * @property {boolean} isSubstitute
 * @property {boolean} [isUsable]
 * @property {() => Promise<Luma>} luma call it before the next sample
 */

/**
 * A video to hash: `DecodedVideo`, or `ElementVideo` where WebCodecs lacks the codec.
 * @typedef {object} SampledVideo
 * @property {import('./orientation.js').Orientation} orientation
 * @property {number} declaredMs how long the file says that it lasts; 0 where it does not
 * @property {number} endMs when its last frame ends; once `samples` is through, as `isIncomplete`
 * @property {boolean} isIncomplete whether the file ended or broke early, or holds another video
 * @property {(intervalMs: number) => AsyncIterable<Sample>} samples
 */

/** Time between samples: so dense, and pruned, that each frame of a lookup has one near it. */
export const INTERVAL_MS = 250;

/** Frames that are examined for plain edges before the first one is hashed without them. */
const LATE = 8;

/** Frames up to this side are stored as enlarged ones are. */
const SMALL_PX = 512;

/** How to sample a picture as if it were turned: rows and columns mirrored, then transposed. */
const VIEWS = [
  [false, false, false],
  [true, false, true],
  [true, true, false],
  [false, true, true],
  [false, true, false],
  [true, true, true],
  [true, false, false],
  [false, false, true],
];

/**
 * A sample: its pixels, and the hash of all of them, upright.
 * @typedef {{timeMs: number, luma: Luma, whole: Hashed}} Entry
 */

/** @typedef {import('./pdq.js').Hashed & {isUsable: boolean}} Hashed */

/**
 * Fingerprint a video. Refused `featureless` if no frame shows enough detail, and as `samples`.
 * @param {SampledVideo} video
 * @param {import('./shapes.js').Shapes} shapes
 * @param {(share: number) => Promise<void>} step awaited often; throws once it is cancelled
 */
export async function fingerprintVideo(video, shapes, step) {
  const hashing = new FrameHashing(video.orientation, shapes);
  for await (const entry of chosen(video, hashing)) {
    hashing.add(entry);
    await step(Math.min(entry.timeMs / (video.declaredMs || Infinity), 1));
  }
  const frames = hashing.finished(video.endMs);
  const fingerprints = fingerprintsOf(frames, hashing.areSmall);
  if (!fingerprints.length) {
    const qualities = frames.flatMap(({ versions }) => versions.map(({ quality }) => quality));
    throw new Refusal('featureless', qualities.reduce((most, each) => Math.max(most, each)));
  }
  return fingerprints;
}

/**
 * Yield samples, each later one in its interval if it is not usable and that one is.
 * @param {SampledVideo} video
 * @param {FrameHashing} hashing
 * @returns {AsyncGenerator<Entry>}
 */
async function* chosen(video, hashing) {
  /** @type {Entry | null} */
  let unusable = null;
  for await (const sample of video.samples(INTERVAL_MS)) {
    if (sample.isSubstitute && !unusable) continue;
    const luma = await sample.luma();
    const whole = hashing.hashed(luma);
    const entry = { timeMs: sample.timeMs, luma, whole };
    sample.isUsable = whole.isUsable;
    if (whole.isUsable) {
      if (unusable && !sample.isSubstitute) yield unusable;
      unusable = null;
      yield entry;
    } else if (!sample.isSubstitute) {
      if (unusable) yield unusable;
      unusable = entry;
    }
  }
  if (unusable) yield unusable;
}

/** Frames of a video that are being hashed, each some frames late, when plain edges are known. */
class FrameHashing {
  /**
   * @param {import('./orientation.js').Orientation} orientation
   * @param {import('./shapes.js').Shapes} shapes
   */
  constructor({ dihedral, isDisputed }, shapes) {
    /** Whether no frame had a side of over 512 px. */
    this.areSmall = true;
    this._dihedral = dihedral;
    // Some players show the frames as stored.
    this._turns = [...new Set([0, isDisputed ? inverseOf(dihedral) : 0])];
    this._shapes = shapes;
    this._edges = new PlainEdges();
    /** @type {Entry[]} */
    this._waiting = [];
    /** @type {import('./moments.js').Frame[]} */
    this._frames = [];
  }

  /** @param {Entry} entry */
  add(entry) {
    this._edges.see(entry.luma);
    this._waiting.push(entry);
    if (this._waiting.length > LATE) this._hashFirst(this._waiting[1].timeMs);
  }

  /**
   * Hash what waits, and return all frames.
   * @param {number} endMs of the video
   */
  finished(endMs) {
    while (this._waiting.length) {
      const [{ timeMs }, next] = this._waiting;
      this._hashFirst(next ? next.timeMs : Math.max(endMs, timeMs));
    }
    return this._frames;
  }

  /**
   * Hash all pixels of a frame.
   * @param {Luma} luma
   * @param {number} [turn] after it is turned upright
   * @returns {Hashed}
   */
  hashed({ plane, width, height, gain }, turn = 0) {
    const dihedral = combined(this._dihedral, turn);
    const samples = turnedSamples(plane, width, height, dihedral);
    const hashed = hashSamples(samples.map((sample) => sample * Math.fround(gain)));
    return { ...hashed, isUsable: !lowQuality(hashed, this._shapes, SHAPE_BITS) };
  }

  /** @param {number} endMs */
  _hashFirst(endMs) {
    const { timeMs, luma, whole } = /** @type {Entry} */ (this._waiting.shift());
    this.areSmall &&= Math.max(luma.width, luma.height) <= SMALL_PX;
    const box = this._edges.box();
    const inner = box && cut(luma, box);
    /** @type {import('./moments.js').Version[]} */
    const versions = this._turns.map((turn) => ({
      ...(turn ? this.hashed(luma, turn) : whole),
      dihedral: turn,
      isCut: false,
    }));
    // Edges of larger frames that came later may leave nothing of this one.
    if (inner?.plane.length) {
      for (const turn of this._turns) {
        versions.push({ ...this.hashed(inner, turn), dihedral: turn, isCut: true });
      }
    }
    this._frames.push({ startMs: timeMs, endMs, versions });
  }
}

/**
 * Return the samples, 64 x 64, of luma averaged to 512 x 512 without rounding, and turned.
 * @param {Uint8Array} plane
 * @param {number} width
 * @param {number} height
 * @param {number} dihedral
 */
function turnedSamples(plane, width, height, dihedral) {
  const [rowsMirrored, columnsMirrored, isTransposed] = VIEWS[dihedral];
  const rows = rowsMirrored ? mirrored(reduced(height), height) : reduced(height);
  const columns = columnsMirrored ? mirrored(reduced(width), width) : reduced(width);
  const samples = sampled(plane, width, rows, columns);
  if (!isTransposed) return samples;
  return samples.map((_, at) => samples[(at % SAMPLES) * SAMPLES + Math.floor(at / SAMPLES)]);
}

/**
 * Cut the plain edges off.
 * @param {Luma} luma
 * @param {import('./plain_edges.js').Box} box
 * @returns {Luma}
 */
function cut({ plane, width, height, gain }, { left, top, right, bottom }) {
  const from = roundHalfEven(left * width);
  const innerWidth = Math.max(roundHalfEven((1 - right) * width) - from, 0);
  const firstRow = roundHalfEven(top * height);
  const innerHeight = Math.max(roundHalfEven((1 - bottom) * height) - firstRow, 0);
  const inner = new Uint8Array(innerWidth * innerHeight);
  for (let row = 0; row < innerHeight; row++) {
    const at = (firstRow + row) * width + from;
    inner.set(plane.subarray(at, at + innerWidth), row * innerWidth);
  }
  return { plane: inner, width: innerWidth, height: innerHeight, gain };
}

/**
 * Round to the next integer, halves to an even one, as Python does.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
