/** Video files: which are read, by mediabunny and in slices, and which are refused. */

import {
  CustomSource,
  EncodedPacketSink,
  Input,
  Logging,
  LogLevel,
  MATROSKA,
  MP4,
  MPEG_TS,
  QTFF,
  WEBM,
} from '../vendor/mediabunny-1.61.0/mediabunny.js';
import { checkSize, checkTime } from './limits.js';
import { orientationOf } from './orientation.js';
import { Refusal } from '../refusal.js';
import { referencesOf } from './skipping.js';

/**
 * @typedef {import('mediabunny').EncodedPacket} EncodedPacket
 * @typedef {import('mediabunny').InputVideoTrack} InputVideoTrack
 */

// What it would print could quote a file.
Logging.level = LogLevel.Silent;

const USUAL_PERIOD_MS = 40;

/** Most bytes that are read at once, as for the tables of a file: 3 hours have a tenth of it. */
const MAX_READ_BYTES = 64 * 2 ** 20;

/** Most bytes that are read before it is known what a file holds: a hostile one has many boxes. */
const MAX_OPENING_BYTES = 256 * 2 ** 20;

/** The video of a file, opened by `openVideo`. */
export class VideoFile {
  /**
   * @param {InputVideoTrack} track
   * @param {VideoDecoderConfig} config
   * @param {import('./orientation.js').Orientation} orientation
   * @param {number} declaredMs how long the file says that it lasts; 0 where it does not
   * @param {number} sizeBytes of the file
   */
  constructor(track, config, orientation, declaredMs, sizeBytes) {
    this.config = config;
    this.orientation = orientation;
    this.declaredMs = declaredMs;
    this.isReferredTo = referencesOf(config);
    /** Whether the file ended, or broke, before its end, or holds another video. */
    this.isIncomplete = false;
    /** Whether frames before 0 are those that an edit list leaves out. */
    this.hidesNegativeTimes = false;
    this._track = track;
    this._sizeBytes = sizeBytes;
    this._readBytes = 0;
    this._packets = 0;
    this._firstS = Infinity;
    this._lastS = -Infinity;
  }

  /** Mean time between the frames read so far. */
  get periodMs() {
    const periodMs = (1000 * (this._lastS - this._firstS)) / (this._packets - 1);
    return this._packets > 1 && periodMs ? periodMs : USUAL_PERIOD_MS;
  }

  /** Share of the file that its packets so far are of. */
  get readShare() {
    return this._readBytes / this._sizeBytes;
  }

  /** Yield the packets in the order of decoding, as far as the file has them. */
  async *packets() {
    const sink = new EncodedPacketSink(this._track);
    try {
      let packet = await sink.getFirstPacket();
      while (packet) {
        this._packets++;
        this._readBytes += packet.byteLength;
        this._firstS = Math.min(this._firstS, packet.timestamp);
        this._lastS = Math.max(this._lastS, packet.timestamp);
        yield packet;
        const next = await sink.getNextPacket(packet);
        // A packet beyond the end of the file has no data, only its place in the tables.
        if (!next && (await sink.getNextPacket(packet, { metadataOnly: true }))) {
          this.isIncomplete = true;
        }
        packet = next;
      }
    } catch {
      this.isIncomplete = true;
    }
  }

  /** Free the file. */
  close() {
    this._track.input.dispose();
  }
}

/**
 * Open the video of a file. The caller closes it.
 *
 * Refused: NOT_MEDIA without a video, UNREADABLE, TOO_LARGE, UNSUPPORTED.
 * @param {Blob} file
 * @returns {Promise<VideoFile>}
 */
export async function openVideo(file) {
  const reading = { leftBytes: MAX_OPENING_BYTES };
  const formats = [MP4, QTFF, MATROSKA, WEBM, MPEG_TS];
  const input = new Input({ source: sourceOf(file, reading), formats });
  try {
    if (!(await input.canRead())) throw new Refusal('UNSUPPORTED', { detail: 'container' });
    const video = await opened(input, file.size);
    reading.leftBytes = Infinity;
    return video;
  } catch (error) {
    input.dispose();
    if (error instanceof Refusal) throw error;
    throw new Refusal('UNREADABLE', { detail: 'container' });
  }
}

/**
 * @param {Input} input
 * @param {number} sizeBytes
 * @returns {Promise<VideoFile>}
 */
async function opened(input, sizeBytes) {
  const tracks = await input.getVideoTracks();
  const track = await input.getPrimaryVideoTrack();
  if (!track) {
    const isSound = (await input.getAudioTracks()).length > 0;
    throw new Refusal(isSound ? 'NOT_MEDIA' : 'UNREADABLE', { detail: 'no video track' });
  }
  checkSize(await track.getCodedWidth(), await track.getCodedHeight());
  const config = await track.getDecoderConfig();
  if (!config) throw new Refusal('UNSUPPORTED', { detail: 'codec' });
  // Transparency is for the page side, which shows frames on white.
  if (await track.canBeTransparent()) throw new Refusal('UNSUPPORTED', { detail: 'alpha' });
  const declaredMs = Math.max(Math.round(1000 * ((await track.getDurationFromMetadata()) ?? 0)), 0);
  checkTime(declaredMs);
  const orientation = orientationOf(await track.getTransformationMatrix());
  const video = new VideoFile(track, config, orientation, declaredMs, sizeBytes);
  // Players differ in which video they show.
  video.isIncomplete = tracks.length > 1;
  const format = await input.getFormat();
  video.hidesNegativeTimes = format === MP4 || format === QTFF;
  return video;
}

/**
 * @param {Blob} file
 * @param {{leftBytes: number}} reading
 */
function sourceOf(file, reading) {
  return new CustomSource({
    getSize: () => file.size,
    async read(start, end) {
      reading.leftBytes -= end - start;
      if (end - start > MAX_READ_BYTES || reading.leftBytes < 0) {
        throw new Refusal('TOO_LARGE', { detail: 'tables' });
      }
      return new Uint8Array(await file.slice(start, end).arrayBuffer());
    },
    prefetchProfile: 'fileSystem',
    // A read ahead that fails is tried again when its bytes are needed.
    handleUnhandledError: () => {},
  });
}
