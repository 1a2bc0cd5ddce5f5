/**
 * Video files to frames sampled by time, where WebCodecs decodes; mediabunny reads the containers.
 *
 * Port of what registrations use of `disrupt/hashing/decoding/videos.py`.
 */

import { MAX_SIDE_PX } from '../hashing/luma.js';
import { orientationOf } from '../hashing/orientation.js';
import { roundHalfEven } from '../hashing/videos.js';
import { Refusal, needed } from '../refusal.js';
import { lumaOf } from './frame_luma.js';

/** @type {string} */
const LIBRARY = '../libraries/mediabunny/dist/bundles/mediabunny.min.mjs';

/** Most pixels of a frame, width x height, and longest video, inclusive, as on the server. */
const MAX_PIXELS = 4096 * 2304;
const MAX_DURATION_MS = 3 * 3600 * 1000;

/** A frame may stand in for one without detail this often, and four times in an interval. */
const SUBSTITUTE_MS = 125;

/** A file that ends by more than both before the time that it declares is incomplete. */
const MISSING_MS = 2000;
const MISSING_SHARE = 0.05;

const USUAL_PERIOD_MS = 40;

/** A video that is being read. */
export class DecodedVideo {
  /**
   * Open the video of a file. Refused `not-media` without one, `unreadable`, `too-large`,
   * `video-too-long`, and `unsupported` where the browser does not decode it.
   * @param {Blob} file
   */
  static async open(file) {
    const library = await needed(import(LIBRARY));
    // What it would print could quote a file.
    library.Logging.level = library.LogLevel.Silent;
    const { BlobSource, Input, MATROSKA, MP4, MPEG_TS, QTFF, WEBM } = library;
    const formats = [MP4, QTFF, MATROSKA, WEBM, MPEG_TS];
    const source = new BlobSource(file, { handleUnhandledError: () => {} });
    const input = new Input({ source, formats });
    try {
      const canRead = await input.canRead();
      if (!canRead || !('VideoDecoder' in self)) throw new Refusal('unsupported');
      const track = await input.getPrimaryVideoTrack();
      const isSound = !track && (await input.getAudioTracks()).length > 0;
      if (!track) throw new Refusal(isSound ? 'not-media' : 'unreadable');
      const video = new DecodedVideo(input, new library.VideoSampleSink(track));
      // Players differ in which video they show.
      video.isIncomplete = (await input.getVideoTracks()).length > 1;
      video.hidesNegativeTimes = [MP4, QTFF].includes(await input.getFormat());
      video.orientation = orientationOf(await track.getTransformationMatrix());
      video.colours = await track.getColorSpace();
      video.declaredMs = Math.max(1000 * ((await track.getDurationFromMetadata()) ?? 0), 0);
      checkTime(video.declaredMs);
      checkSize(await track.getCodedWidth(), await track.getCodedHeight());
      // Transparency is for the video element, which shows frames on white.
      if ((await track.canBeTransparent()) || !(await track.canDecode())) {
        throw new Refusal('unsupported');
      }
      return video;
    } catch (error) {
      input.dispose();
      throw error instanceof Refusal ? error : new Refusal('unreadable');
    }
  }

  /**
   * @param {any} input of mediabunny
   * @param {any} sink likewise
   */
  constructor(input, sink) {
    this.orientation = { dihedral: 0, isDisputed: false };
    this.declaredMs = 0;
    this.endMs = 0;
    this.isIncomplete = false;
    this.hidesNegativeTimes = false;
    /** @type {VideoColorSpaceInit} */
    this.colours = {};
    this._input = input;
    this._sink = sink;
  }

  /**
   * Yield the first frame, then the first one at or after each multiple of the interval, and those
   * that may stand in for one without detail. Refused as `open`; `unreadable` without any frame.
   * @param {number} intervalMs
   * @returns {AsyncGenerator<import('../hashing/videos.js').Sample>}
   */
  async *samples(intervalMs) {
    const substituteMs = Math.min(SUBSTITUTE_MS, intervalMs / 4);
    /** @type {import('../hashing/videos.js').Sample | undefined} */
    let scheduled;
    let frames = 0;
    let [firstMs, timeMs, lastMs] = [0, 0, 0];
    try {
      for await (const frame of this._sink.samples()) {
        try {
          const shownMs = 1000 * frame.timestamp;
          // Frames before the edit list begins are not shown.
          if (shownMs < 0 && this.hidesNegativeTimes) continue;
          if (!frames++) firstMs = shownMs;
          timeMs = shownMs - firstMs;
          const wholeMs = roundHalfEven(timeMs);
          const place = (/** @type {number} */ ms) => Math.floor(ms / intervalMs);
          const isSubstitute = scheduled && place(wholeMs) <= place(scheduled.timeMs);
          if (isSubstitute && (scheduled?.isUsable || wholeMs - lastMs < substituteMs)) continue;
          checkTime(timeMs);
          checkSize(frame.codedWidth, frame.codedHeight);
          lastMs = wholeMs;
          const sample = {
            timeMs: wholeMs,
            isSubstitute: Boolean(isSubstitute),
            luma: () => lumaOf(frame, this.colours),
          };
          if (!isSubstitute) scheduled = sample;
          yield sample;
        } finally {
          frame.close();
        }
      }
    } catch (error) {
      if (error instanceof Refusal) throw error;
      this.isIncomplete = true;
    }
    if (!frames) throw new Refusal('unreadable');
    const periodMs = frames > 1 ? timeMs / (frames - 1) : USUAL_PERIOD_MS;
    this.endMs = roundHalfEven(timeMs + periodMs);
    const missingMs = this.declaredMs - this.endMs;
    if (missingMs > Math.max(MISSING_MS, MISSING_SHARE * this.declaredMs)) this.isIncomplete = true;
  }

  /** Free the file. */
  close() {
    this._input.dispose();
  }
}

/**
 * @param {number} width
 * @param {number} height
 */
export function checkSize(width, height) {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE_PX) {
    throw new Refusal('too-large');
  }
}

/** @param {number} timeMs */
export function checkTime(timeMs) {
  if (timeMs > MAX_DURATION_MS) throw new Refusal('video-too-long');
}
