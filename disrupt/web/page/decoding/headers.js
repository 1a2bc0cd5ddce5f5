/** Format and size of a picture file from its first bytes, so that limits hold before any work. */

import { Refusal } from '../refusal.js';

/**
 * `megapixels` are of the largest picture that decoding may take memory for, `sidePx` is the longest
 * side.
 * @typedef {{format: string, megapixels: number, sidePx: number, isAnimated: boolean}} Header
 */

/** @typedef {(bytes: Bytes) => Promise<Omit<Header, 'format'> | null>} Parser */

const WINDOW_BYTES = 2 ** 16;
const MOST_PARTS = 1000;
const MOST_META_BYTES = 2 ** 20;

/** Bytes of a file, read a window at a time. */
export class Bytes {
  /** @param {Blob} blob */
  constructor(blob) {
    this._blob = blob;
    this._start = 0;
    this._window = new DataView(new ArrayBuffer(0));
  }

  /**
   * Return `size` bytes from `at` on; fewer at the end of the file.
   * @param {number} at
   * @param {number} size
   */
  async read(at, size) {
    if (at < this._start || at + size > this._start + this._window.byteLength) {
      const end = at + Math.max(size, WINDOW_BYTES);
      this._window = new DataView(await this._blob.slice(at, end).arrayBuffer());
      this._start = at;
    }
    const from = at - this._start;
    const most = Math.min(size, this._window.byteLength - from);
    return new DataView(this._window.buffer, from, most);
  }

  /**
   * Return `size` bytes from `at` on as text of single bytes.
   * @param {number} at
   * @param {number} size
   */
  async text(at, size) {
    return textOf(await this.read(at, size));
  }
}

/**
 * First bytes of pictures that pages do not show, and where they are.
 * @type {[string, number][]}
 */
const OTHERS = [
  ['II*\0', 0],
  ['MM\0*', 0],
  ['II+\0', 0],
  ['MM\0+', 0],
  ['\xff\x0a', 0],
  ['JXL ', 4],
  ['jP  ', 4],
  ['8BPS', 0],
  ['%PDF', 0],
  ['<svg', 0],
];

/**
 * Read the header of a picture file.
 * @param {Blob} blob
 * @returns {Promise<Header | null>} null if it is no picture; megapixels are NaN where the file ends
 *   within its header
 * @throws {Refusal} UNSUPPORTED
 */
export async function readHeader(blob) {
  const bytes = new Bytes(blob);
  const head = await bytes.text(0, 4096);
  const format = formatOf(head);
  if (!format) {
    const isOther = OTHERS.some(([start, at]) => head.startsWith(start, at));
    if (isOther) throw new Refusal('UNSUPPORTED');
    return null;
  }
  try {
    return { format, ...((await PARSERS[format](bytes)) ?? still(0, 0)) };
  } catch (error) {
    // A DataView ends before what is read of it.
    if (error instanceof RangeError) return { format, ...still(0, 0) };
    throw error;
  }
}

/**
 * @param {string} head
 * @returns {keyof typeof PARSERS | null}
 */
function formatOf(head) {
  if (head.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (head.startsWith('GIF8')) return 'GIF';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'WebP';
  if (head.startsWith('BM')) return 'BMP';
  if (head.startsWith('ftyp', 4)) return codecOf(head);
  return null;
}

/**
 * Return the codec of pictures that the first brand names, major or compatible, as in browsers.
 * @param {string} head
 */
function codecOf(head) {
  const size = numberOf(head.slice(0, 4));
  const end = Math.min(size || head.length, head.length);
  for (let at = 8; at + 4 <= end; at += at === 8 ? 8 : 4) {
    const brand = head.slice(at, at + 3);
    if (brand === 'avi') return 'AVIF';
    if (brand === 'hei' || brand === 'hev') return 'HEIC';
  }
  return null;
}

/** @type {Record<'JPEG' | 'PNG' | 'GIF' | 'WebP' | 'BMP' | 'AVIF' | 'HEIC', Parser>} */
const PARSERS = {
  JPEG: async (bytes) => {
    // Frame headers (ITU T.81, B.1.1.3) are those of all codings but three other segments.
    const others = new Set([0xc4, 0xc8, 0xcc]);
    for (let at = 2, part = 0; part < MOST_PARTS; part++) {
      const segment = await bytes.read(at, 9);
      if (segment.getUint8(0) !== 0xff) return null;
      const marker = segment.getUint8(1);
      if (marker === 0xff) {
        at += 1;
      } else if (marker >= 0xc0 && marker <= 0xcf && !others.has(marker)) {
        return still(segment.getUint16(7), segment.getUint16(5));
      } else {
        at += 2 + segment.getUint16(2);
      }
    }
    return null;
  },
  PNG: async (bytes) => {
    const size = await bytes.read(16, 8);
    const header = still(size.getUint32(0), size.getUint32(4));
    for (let at = 33, part = 0; part < MOST_PARTS; part++) {
      const chunk = await bytes.read(at, 8);
      const kind = textOf(chunk).slice(4);
      if (kind === 'acTL') return { ...header, isAnimated: true };
      if (kind === 'IDAT') return header;
      at += 12 + chunk.getUint32(0);
    }
    return header;
  },
  GIF: async (bytes) => {
    const size = await bytes.read(6, 4);
    return { ...still(size.getUint16(0, true), size.getUint16(2, true)), isAnimated: true };
  },
  WebP: async (bytes) => {
    const chunk = await bytes.text(12, 4);
    const view = await bytes.read(20, 10);
    const of24 = (/** @type {number} */ at) =>
      1 + view.getUint16(at, true) + 2 ** 16 * view.getUint8(at + 2);
    if (chunk === 'VP8X') {
      return { ...still(of24(4), of24(7)), isAnimated: (view.getUint8(0) & 2) !== 0 };
    }
    if (chunk === 'VP8L') {
      const bits = view.getUint32(1, true);
      return still(1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff));
    }
    return still(view.getUint16(6, true) & 0x3fff, view.getUint16(8, true) & 0x3fff);
  },
  BMP: async (bytes) => {
    const view = await bytes.read(14, 12);
    if (view.getUint32(0, true) === 12) {
      return still(view.getUint16(4, true), view.getUint16(6, true));
    }
    return still(Math.abs(view.getInt32(4, true)), Math.abs(view.getInt32(8, true)));
  },
  AVIF: isoHeader,
  HEIC: isoHeader,
};

/**
 * Read the sizes of all coded images that the metadata declares: `ispe` boxes within the `meta` box
 * (ISO 14496-12, 4.2, and 23008-12, 6.5.3).
 * @type {Parser}
 */
async function isoHeader(bytes) {
  const isAnimated = (await bytes.text(8, 4)) === 'avis';
  let megapixels = NaN;
  let sidePx = 0;
  for (let at = 0, part = 0; part < MOST_PARTS; part++) {
    const box = await bytes.read(at, 16);
    let size = box.getUint32(0);
    if (size === 1) size = Number(box.getBigUint64(8));
    if (textOf(box).slice(4, 8) === 'meta') {
      const meta = await bytes.text(at, Math.min(size || MOST_META_BYTES, MOST_META_BYTES));
      for (const [, width, height] of meta.matchAll(/ispe[^]{4}([^]{4})([^]{4})/g)) {
        const of = (numberOf(width) * numberOf(height)) / 1e6;
        megapixels = Math.max(of, megapixels || 0);
        sidePx = Math.max(sidePx, numberOf(width), numberOf(height));
      }
      break;
    }
    if (size === 0) break;
    at += Math.max(size, 8);
  }
  return { megapixels, sidePx, isAnimated };
}

/**
 * @param {number} width
 * @param {number} height
 */
function still(width, height) {
  return {
    megapixels: width && height ? (width * height) / 1e6 : NaN,
    sidePx: Math.max(width, height),
    isAnimated: false,
  };
}

/** @param {DataView} view */
function textOf(view) {
  let text = '';
  for (let at = 0; at < view.byteLength; at++) text += String.fromCharCode(view.getUint8(at));
  return text;
}

/** @param {string} text four bytes, the most significant first */
function numberOf(text) {
  return [...text].reduce((number, byte) => 256 * number + byte.charCodeAt(0), 0);
}
