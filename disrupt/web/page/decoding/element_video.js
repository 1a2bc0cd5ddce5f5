/**
 * A video as the page's video element shows it, for what WebCodecs does not decode.
 *
 * A worker has no such element, and asks the page: see `video_element.js`. Frames come upright, a
 * frame earlier or later than those of `DecodedVideo`.
 */

import { lumaOf } from './frame_luma.js';
import { checkSize, checkTime } from './videos.js';

/** @typedef {{bitmap?: ImageBitmap, durationMs: number}} Shown */

/** Times in an interval that are tried until a frame shows detail. */
const TRIES = 4;

export class ElementVideo {
  /**
   * Return the video, or null if the page cannot play it.
   * @param {(atMs: number) => Promise<Shown>} ask for the frame at a time
   */
  static async open(ask) {
    const { bitmap, durationMs } = await ask(0);
    if (!bitmap) return null;
    bitmap.close();
    checkTime(durationMs);
    return new ElementVideo(ask, durationMs);
  }

  /**
   * @param {(atMs: number) => Promise<Shown>} ask
   * @param {number} durationMs
   */
  constructor(ask, durationMs) {
    this.orientation = { dihedral: 0, isDisputed: false };
    this.declaredMs = durationMs;
    this.endMs = Math.round(durationMs);
    this.isIncomplete = false;
    this._ask = ask;
  }

  /**
   * Yield the samples, as `DecodedVideo` does.
   * @param {number} intervalMs
   * @returns {AsyncGenerator<import('../hashing/videos.js').Sample>}
   */
  async *samples(intervalMs) {
    for (let dueMs = 0; dueMs < this.declaredMs; dueMs += intervalMs) {
      for (let tried = 0; tried < TRIES; tried++) {
        const timeMs = Math.round(dueMs + (tried * intervalMs) / TRIES);
        if (timeMs >= this.declaredMs) return;
        const { bitmap } = await this._ask(timeMs);
        if (!bitmap) {
          this.isIncomplete = true;
          this.endMs = timeMs;
          return;
        }
        checkSize(bitmap.width, bitmap.height);
        /** @type {import('../hashing/videos.js').Sample} */
        const sample = { timeMs, isSubstitute: tried > 0, luma: () => lumaOf(bitmap) };
        yield sample;
        bitmap.close();
        if (sample.isUsable) break;
      }
    }
  }

  close() {}
}
