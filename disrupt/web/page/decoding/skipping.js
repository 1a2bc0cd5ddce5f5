/**
 * Packets of a video that need not be decoded: frames shown for a moment that no other refers to.
 *
 * Port of `disrupt/hashing/decoding/skipping.py`, and of what FFmpeg's decoders skip as NONREF: the
 * server samples the frames that are left, and a phone has less to do.
 */

/** Packets read ahead, so that the next frame shown is most often known. */
const AHEAD = 4;

/** Packets, so far and ahead, whose times are compared: frames are stored less far out of order. */
const KNOWN = 32;

/** Frames shown no longer than this, and a quarter of the interval, may be skipped. */
const BRIEF_S = 1 / 12;

/** Time without a frame after which none is skipped. */
const UNSEEN_S = 1;

const H264_SLICES = new Set([1, 5]);
const HEVC_SLICES_END = 32;

/** H.265, table 7-1: of these types below 16, the even ones are referred to by no frame. */
const HEVC_NON_REFERENCES_END = 16;

/** @typedef {import('mediabunny').EncodedPacket} EncodedPacket */

/**
 * Yield the packets to decode of those of a track, in their order.
 * @param {AsyncIterable<EncodedPacket>} packets
 * @param {(data: Uint8Array) => boolean} isReferredTo
 * @param {number} intervalMs between samples
 */
export async function* neededPackets(packets, isReferredTo, intervalMs) {
  const briefS = Math.min(intervalMs / 4000, BRIEF_S);
  let decodedS = -Infinity;
  for await (const [packet, shownS] of shownFor(packets)) {
    const isDue = packet.timestamp > decodedS + UNSEEN_S;
    if (!isDue && shownS <= briefS && !isReferredTo(packet.data)) continue;
    decodedS = Math.max(decodedS, packet.timestamp);
    yield packet;
  }
}

/**
 * Yield packets with how long each is shown, in s: infinite where no later one is known.
 * @param {AsyncIterable<EncodedPacket>} packets
 * @returns {AsyncGenerator<[EncodedPacket, number]>}
 */
async function* shownFor(packets) {
  /** @type {EncodedPacket[]} */
  const waiting = [];
  /** @type {number[]} */
  const knownS = [];
  const first = () => {
    const packet = /** @type {EncodedPacket} */ (waiting.shift());
    const later = knownS.filter((timeS) => timeS > packet.timestamp);
    return /** @type {[EncodedPacket, number]} */ ([packet, Math.min(...later) - packet.timestamp]);
  };
  for await (const packet of packets) {
    waiting.push(packet);
    knownS.push(packet.timestamp);
    if (knownS.length > KNOWN) knownS.shift();
    if (waiting.length > AHEAD) yield first();
  }
  while (waiting.length) yield first();
}

/**
 * Return a function that tells whether other frames may refer to that of a packet.
 * @param {VideoDecoderConfig} config
 */
export function referencesOf({ codec, description }) {
  const isH264 = /^avc[13]/.test(codec);
  if (!isH264 && !/^h(ev|vc)1/.test(codec)) return () => true;
  const record = description && bytesOf(description);
  // ISO/IEC 14496-15: the length of the length before each NAL unit; without a record start codes.
  const lengthBytes = record ? (record[isH264 ? 4 : 21] & 3) + 1 : 0;
  const isUsed = isH264 ? h264Use : hevcUse;
  return (/** @type {Uint8Array} */ data) => {
    for (const at of lengthBytes ? lengthPrefixed(data, lengthBytes) : startCoded(data)) {
      const use = isUsed(data[at]);
      if (use !== undefined) return use;
    }
    return true;
  };
}

/**
 * Tell whether others refer to a slice, by the first byte of its NAL unit; undefined: no slice.
 * @param {number} header
 */
function h264Use(header) {
  return H264_SLICES.has(header & 31) ? (header >> 5 & 3) !== 0 : undefined;
}

/** @param {number} header as of `h264Use` */
function hevcUse(header) {
  const type = (header >> 1) & 63;
  if (type >= HEVC_SLICES_END) return undefined;
  return type >= HEVC_NON_REFERENCES_END || type % 2 === 1;
}

/**
 * Yield where NAL units begin.
 * @param {Uint8Array} data
 * @param {number} lengthBytes
 */
function* lengthPrefixed(data, lengthBytes) {
  for (let at = 0; at + lengthBytes < data.length; ) {
    let length = 0;
    for (let end = at + lengthBytes; at < end; at++) length = length * 256 + data[at];
    yield at;
    at += length;
  }
}

/** @param {Uint8Array} data as of `lengthPrefixed` */
function* startCoded(data) {
  for (let at = data.indexOf(1, 2); at >= 0 && at + 1 < data.length; at = data.indexOf(1, at + 1)) {
    if (data[at - 1] === 0 && data[at - 2] === 0) yield at + 1;
  }
}

/** @param {AllowSharedBufferSource} source */
function bytesOf(source) {
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  return new Uint8Array(source);
}
