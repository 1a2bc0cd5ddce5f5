/**
 * A video as the page's own video element shows it, for codecs that WebCodecs lacks.
 *
 * A worker has no such element: it asks the page for one frame after another, see
 * `video_element.js`. Frames come upright, a frame earlier or later than those of `DecodedVideo`.
 */

import { lumaOf } from './frame_luma.js';
import { checkSize, checkTime } from './limits.js';
import { substituteMs } from './schedule.js';

/**
 * A frame, or that the page cannot play the file.
 * @typedef {{bitmap: ImageBitmap, durationMs: number} | {isUnplayable: true}} Shown
 */

/** Time without an answer of the page after which it is given up. */
const UNANSWERED_MS = 60_000;

/** What a worker asks the page for, one frame at a time. */
export class FrameRequests {
  /** @param {(message: {frameAtMs: number}) => void} post */
  constructor(post) {
    this._post = post;
    /** @type {(shown: Shown) => void} */
    this.answer = () => {};
  }

  /**
   * Ask for the frame that is shown at a time.
   * @param {number} atMs
   * @returns {Promise<Shown>}
   */
  ask(atMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ isUnplayable: true }), UNANSWERED_MS);
      this.answer = (shown) => {
        clearTimeout(timer);
        resolve(shown);
      };
      this._post({ frameAtMs: atMs });
    });
  }
}

export class ElementVideo {
  /**
   * Return the video, or null if the page cannot play it.
   * @param {FrameRequests} requests
   */
  static async open(requests) {
    const first = await requests.ask(0);
    if ('isUnplayable' in first) return null;
    first.bitmap.close();
    checkTime(first.durationMs);
    return new ElementVideo(requests, first.durationMs);
  }

  /**
   * @param {FrameRequests} requests
   * @param {number} durationMs
   */
  constructor(requests, durationMs) {
    this.orientation = { dihedral: 0, isDisputed: false };
    this.endMs = Math.round(durationMs);
    this.isIncomplete = false;
    this._requests = requests;
  }

  /** @param {number} timeMs */
  shareAt(timeMs) {
    return timeMs / this.endMs;
  }

  /**
   * Yield the samples, as `DecodedVideo` does.
   * @param {number} intervalMs
   * @returns {AsyncGenerator<import('./videos.js').Sample>}
   */
  async *samples(intervalMs) {
    for (let dueMs = 0; dueMs < this.endMs; dueMs += intervalMs) {
      let isUsable = false;
      const endMs = Math.min(dueMs + intervalMs, this.endMs);
      for (let atMs = dueMs; atMs < endMs && !isUsable; atMs += substituteMs(intervalMs)) {
        const shown = await this._requests.ask(atMs);
        if ('isUnplayable' in shown) {
          this.isIncomplete = true;
          this.endMs = dueMs;
          return;
        }
        const { bitmap } = shown;
        checkSize(bitmap.width, bitmap.height);
        /** @type {import('./videos.js').Sample} */
        const sample = {
          timeMs: Math.round(atMs),
          isSubstitute: atMs > dueMs,
          luma: () => lumaOf(bitmap),
        };
        yield sample;
        isUsable = sample.isUsable ?? false;
        bitmap.close();
      }
    }
  }

  close() {}
}
