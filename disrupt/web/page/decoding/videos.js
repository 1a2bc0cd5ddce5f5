/**
 * Video files to frames sampled by time, as the server samples them.
 *
 * Port of `disrupt/hashing/decoding/videos.py`, where WebCodecs decodes.
 */

import { Refusal } from '../refusal.js';
import { FrameDecoder } from './decoder.js';
import { lumaOf } from './frame_luma.js';
import { checkSize, checkTime } from './limits.js';
import { Clock, Schedule, roundHalfEven } from './schedule.js';
import { neededPackets } from './skipping.js';
import { openVideo } from './video_file.js';

/** A file that ends by more than both before the time that it declares is incomplete. */
const MISSING_MS = 2000;
const MISSING_SHARE = 0.05;

/**
 * A frame and when it is shown, in ms from the first one. A substitute counts only if the scheduled
 * sample before it shows no detail; `isUsable` is set by whoever hashes a scheduled one.
 * @typedef {object} Sample
 * @property {number} timeMs
 * @property {boolean} isSubstitute
 * @property {boolean} [isUsable]
 * @property {() => Promise<import('./frame_luma.js').Luma>} luma call it before the next sample
 */

/** A video that is being read. */
export class DecodedVideo {
  /**
   * Refused as `openVideo`, and UNSUPPORTED where the browser lacks the codec.
   * @param {Blob} file
   */
  static async open(file) {
    const video = await openVideo(file);
    try {
      const { supported } = await VideoDecoder.isConfigSupported(video.config);
      if (supported) return new DecodedVideo(video);
    } catch {
      // A browser without WebCodecs, or a configuration that it cannot read.
    }
    video.close();
    throw new Refusal('UNSUPPORTED', { detail: 'codec' });
  }

  /** @param {import('./video_file.js').VideoFile} file */
  constructor(file) {
    this.orientation = file.orientation;
    this.declaredMs = file.declaredMs;
    /** When its last frame ends; once `samples` is through. */
    this.endMs = 0;
    this._file = file;
  }

  /** Whether the file ended, or broke, before its end, or holds another video. */
  get isIncomplete() {
    const missingMs = this.declaredMs - this.endMs;
    const isShort = missingMs > Math.max(MISSING_MS, MISSING_SHARE * this.declaredMs);
    return isShort || this._file.isIncomplete;
  }

  /**
   * Return the share of the video before a time, about.
   * @param {number} timeMs
   */
  shareAt(timeMs) {
    return this.declaredMs ? timeMs / this.declaredMs : this._file.readShare;
  }

  /**
   * Yield the samples. Refused: TOO_LARGE, UNREADABLE where there is no frame.
   * @param {number} intervalMs
   * @returns {AsyncGenerator<Sample>}
   */
  async *samples(intervalMs) {
    const schedule = new Schedule(intervalMs);
    const clock = new Clock();
    /** @type {Map<VideoFrame, Sample>} */
    const chosen = new Map();
    /** @type {Sample | undefined} */
    let scheduled;
    const decoder = new FrameDecoder(this._file.config, (frame) => {
      // Frames before the edit list begins are not shown.
      if (frame.timestamp < 0 && this._file.hidesNegativeTimes) return false;
      const timeMs = clock.next(frame.timestamp / 1000, this._file.periodMs);
      const kind = schedule.offer(timeMs);
      if (!kind || (kind === 'SUBSTITUTE' && scheduled?.isUsable)) return false;
      const luma = () => lumaOf(frame, this._file.config.colorSpace);
      const sample = { timeMs, isSubstitute: kind === 'SUBSTITUTE', luma };
      if (!sample.isSubstitute) scheduled = sample;
      chosen.set(frame, sample);
      return true;
    });
    const packets = neededPackets(this._file.packets(), this._file.isReferredTo, intervalMs);
    try {
      for await (const frame of decoder.frames(packets)) {
        const sample = /** @type {Sample} */ (chosen.get(frame));
        chosen.delete(frame);
        try {
          checkTime(sample.timeMs);
          checkSize(frame.codedWidth, frame.codedHeight);
          yield sample;
        } finally {
          frame.close();
        }
      }
    } finally {
      decoder.close();
    }
    if (!clock.frames) throw new Refusal('UNREADABLE', { detail: 'no frame' });
    this.endMs = roundHalfEven(clock.timeMs + this._file.periodMs);
    if (decoder.errors) this._file.isIncomplete = true;
  }

  /** Free the file. */
  close() {
    this._file.close();
  }
}
