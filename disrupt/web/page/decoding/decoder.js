/** Packets of a video to frames, by WebCodecs: few at a time, over packets that are broken. */

/** Packets that a decoder may have to do; frames come out some packets later. */
const MAX_AHEAD = 8;

/** Errors of a decoder before the rest of the file is given up. */
const MAX_ERRORS = 20;

/** Packets without a wanted frame before the rest is given up: 16 000 a second. */
const MAX_UNWANTED = 4000;

/** Time without any answer of a decoder after which it is given up. */
const STALLED_MS = 60_000;

/** @typedef {import('mediabunny').EncodedPacket} EncodedPacket */

/** A decoder that may break and is then made anew. Frames that it holds are closed with it. */
export class FrameDecoder {
  /**
   * @param {VideoDecoderConfig} config
   * @param {(frame: VideoFrame) => boolean} isWanted called for each frame, in the order shown;
   *   others are closed at once, since decoders have few of them
   */
  constructor(config, isWanted) {
    this.errors = 0;
    this._config = config;
    this._isWanted = isWanted;
    /** @type {VideoFrame[]} */
    this._ready = [];
    /** @type {VideoDecoder | null} */
    this._decoder = null;
    this._awaitsKey = true;
    this._unwanted = 0;
    this._wake = () => {};
  }

  /**
   * Yield the frames that are wanted; whoever takes one closes it.
   * @param {AsyncIterable<EncodedPacket>} packets
   */
  async *frames(packets) {
    for await (const packet of packets) {
      this._feed(packet);
      yield* this._until(() => (this._decoder?.decodeQueueSize ?? 0) <= MAX_AHEAD);
      if (this.errors > MAX_ERRORS || this._unwanted++ > MAX_UNWANTED) {
        this.errors++;
        return;
      }
    }
    let isFlushed = !this._decoder;
    const finish = () => {
      isFlushed = true;
      this._wake();
    };
    this._decoder?.flush().then(finish, finish);
    yield* this._until(() => isFlushed || !this._decoder);
  }

  close() {
    for (const frame of this._ready.splice(0)) frame.close();
    this._drop();
  }

  /** @param {EncodedPacket} packet */
  _feed(packet) {
    if (this._awaitsKey && packet.type !== 'key') return;
    try {
      this._decoder ??= this._opened();
      this._awaitsKey = false;
      this._decoder.decode(packet.toEncodedVideoChunk());
    } catch {
      this._fail();
    }
  }

  /** @returns {VideoDecoder} */
  _opened() {
    const decoder = new VideoDecoder({
      output: (frame) => {
        if (this._decoder === decoder && this._isWanted(frame)) {
          this._ready.push(frame);
          this._unwanted = 0;
        } else frame.close();
        this._wake();
      },
      error: () => {
        if (this._decoder === decoder) this._fail();
      },
    });
    decoder.ondequeue = () => this._wake();
    decoder.configure(this._config);
    return decoder;
  }

  /** Give up the decoder; the next one begins with the next key frame. */
  _fail() {
    this.errors++;
    this._drop();
    this._wake();
  }

  _drop() {
    if (this._decoder && this._decoder.state !== 'closed') this._decoder.close();
    this._decoder = null;
    this._awaitsKey = true;
  }

  /**
   * Yield frames until none is ready and a condition holds.
   * @param {() => boolean} isMet
   */
  async *_until(isMet) {
    for (;;) {
      const frame = this._ready.shift();
      if (frame) yield frame;
      else if (isMet()) return;
      else await this._woken();
    }
  }

  /** Wait until the decoder took a packet, gave a frame or broke. */
  async _woken() {
    const timer = setTimeout(() => this._fail(), STALLED_MS);
    await new Promise((resolve) => {
      this._wake = () => resolve(undefined);
    });
    clearTimeout(timer);
  }
}
