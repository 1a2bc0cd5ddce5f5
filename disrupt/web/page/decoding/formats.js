/** Format, size and end of a file by its own bytes: limits hold before anything is decoded. */

/** First bytes of a file that identify its format. */
export const SNIFFED_BYTES = 512;

/** @typedef {'JPEG' | 'PNG' | 'GIF' | 'WebP' | 'BMP' | 'AVIF' | 'HEIC'} Format */

/**
 * What a picture file says of itself. Sizes of 0 are not known.
 * @typedef {object} Header
 * @property {number} width
 * @property {number} height
 * @property {boolean} isAnimated whether it may have several frames
 * @property {boolean} isWhole false if it ends early: browsers would show a part of the picture
 */

/**
 * Starts of files, by their format, and where they are.
 * @type {[Format | 'video' | 'other' | 'document', number, string[]][]}
 */
const SIGNATURES = [
  ['JPEG', 0, ['\xff\xd8\xff']],
  ['PNG', 0, ['\x89PNG\r\n\x1a\n']],
  ['GIF', 0, ['GIF8']],
  ['WebP', 8, ['WEBP']],
  ['BMP', 0, ['BM']],
  ['video', 0, ['\x1aE\xdf\xa3', '\0\0\x01\xba', '\0\0\x01\xb3', 'FLV\x01', 'OggS']],
  ['video', 0, ['0&\xb2u\x8ef\xcf\x11']],
  ['video', 4, ['ftyp', 'moov', 'mdat', 'wide', 'free']],
  ['video', 8, ['AVI ']],
  ['other', 0, ['II*\0', 'MM\0*', 'II+\0', 'MM\0+', '\xff\x0a', '8BPS', '<svg', '<?xml']],
  ['other', 4, ['JXL ', 'jP  ']],
  ['document', 0, ['%PDF']],
];

/** Brands of ISO files (14496-12, 4.3) whose first one in a file decides. */
const BRANDS = new Map([
  ...['avif', 'avis'].map((brand) => /** @type {const} */ ([brand, 'AVIF'])),
  ...['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx'].map(
    (brand) => /** @type {const} */ ([brand, 'HEIC']),
  ),
]);

/** Where packets of transport streams have the byte G: plain, and with times. */
const TS_SYNC = [
  [0, 188, 376],
  [4, 196, 388],
];

/**
 * Return the format of a file by its first bytes; `other`: of pictures that pages do not show;
 * `document`: one that may hold pictures; null: neither picture nor video.
 * @param {Uint8Array} head SNIFFED_BYTES, or all of a shorter file
 * @returns {Format | 'video' | 'other' | 'document' | null}
 */
export function formatOf(head) {
  const format = SIGNATURES.find(([, at, texts]) => texts.some((text) => has(head, at, text)))?.[0];
  if (has(head, 4, 'ftyp')) {
    const end = Math.min(number(head, 0, 4), head.length - 3);
    for (let at = 8; at < end; at += at === 8 ? 8 : 4) {
      const known = BRANDS.get(String.fromCharCode(...head.subarray(at, at + 4)));
      if (known) return known;
    }
  }
  const isStream = TS_SYNC.some((places) => places.every((at) => has(head, at, 'G')));
  return format ?? (isStream ? 'video' : null);
}

/**
 * Read the header of a picture file; null where it is damaged.
 * @param {Format} format
 * @param {Uint8Array} file all of it
 * @returns {Header | null}
 */
export function headerOf(format, file) {
  const isAnimated = format === 'GIF' || (format === 'AVIF' && has(file, 8, 'avis'));
  const header = { isAnimated, isWhole: true };
  if (format === 'JPEG') return jpegHeader(file);
  if (format === 'PNG') return pngHeader(file);
  if (format === 'WebP') return webpHeader(file);
  if (format === 'GIF') {
    return { ...header, width: little(file, 6, 2), height: little(file, 8, 2) };
  }
  if (format === 'BMP') {
    const isOld = little(file, 14, 4) === 12;
    const [width, height] = isOld
      ? [little(file, 18, 2), little(file, 20, 2)]
      : [little(file, 18, 4), Math.abs(little(file, 22, 4) | 0)];
    return { ...header, width, height };
  }
  return { ...header, ...isoSize(file) };
}

/**
 * Walk the segments up to the first scan (ITU T.81, B.1.1), then look for the marker EOI: coded
 * data hold none, and what comes before may be a small picture with an end of its own.
 * @param {Uint8Array} file
 */
function jpegHeader(file) {
  const header = { width: 0, height: 0, isAnimated: false, isWhole: false };
  let at = 2;
  while (at + 9 < file.length && file[at] === 0xff && file[at + 1] !== 0xda) {
    const marker = file[at + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      header.height = number(file, at + 5, 2);
      header.width = number(file, at + 7, 2);
    }
    at += marker === 0xff ? 1 : 2 + number(file, at + 2, 2);
  }
  while (at >= 0 && file[at + 1] !== 0xd9) at = file.indexOf(0xff, at + 1);
  header.isWhole = at >= 0;
  return header.width && header.height ? header : null;
}

/** @param {Uint8Array} file */
function pngHeader(file) {
  const size = { width: number(file, 16, 4), height: number(file, 20, 4) };
  const header = { ...size, isAnimated: false, isWhole: false };
  let hasPixels = false;
  for (let at = 8; at + 12 <= file.length && !header.isWhole; at += 12 + number(file, at, 4)) {
    hasPixels ||= has(file, at + 4, 'IDAT');
    header.isAnimated ||= !hasPixels && has(file, at + 4, 'acTL');
    header.isWhole = has(file, at + 4, 'IEND');
  }
  return size.width && size.height ? header : null;
}

/**
 * Read the first chunk (RFC 9649, 2.5 to 2.7).
 * @param {Uint8Array} file
 */
function webpHeader(file) {
  const header = { isAnimated: false, isWhole: 8 + little(file, 4, 4) <= file.length };
  if (has(file, 12, 'VP8X')) {
    const [width, height] = [1 + little(file, 24, 3), 1 + little(file, 27, 3)];
    return { ...header, width, height, isAnimated: (file[20] & 2) !== 0 };
  }
  if (has(file, 12, 'VP8L')) {
    const bits = little(file, 21, 4);
    return { ...header, width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  const [width, height] = [26, 28].map((at) => little(file, at, 2) & 0x3fff);
  return width && height ? { ...header, width, height } : null;
}

/**
 * Return the largest size that the properties at the start of the file declare: boxes `ispe`
 * (ISO 23008-12, 6.5.3).
 * @param {Uint8Array} file
 */
function isoSize(file) {
  let [width, height] = [0, 0];
  const meta = file.subarray(0, 2 ** 18);
  for (let at = meta.indexOf(0x69); at >= 0; at = meta.indexOf(0x69, at + 1)) {
    if (!has(meta, at, 'ispe')) continue;
    width = Math.max(width, number(meta, at + 8, 4));
    height = Math.max(height, number(meta, at + 12, 4));
  }
  return { width, height };
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {string} text of single bytes
 */
function has(bytes, at, text) {
  return [...text].every((letter, index) => bytes[at + index] === letter.charCodeAt(0));
}

/**
 * Return a number of some bytes, the most significant first; NaN beyond the end.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} size
 */
function number(bytes, at, size) {
  let value = 0;
  for (let end = at + size; at < end; at++) value = 256 * value + bytes[at];
  return value;
}

/**
 * Return a number of some bytes, the least significant first; NaN beyond the end.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} size
 */
function little(bytes, at, size) {
  let value = 0;
  for (let place = at + size - 1; place >= at; place--) value = 256 * value + bytes[place];
  return value;
}
