/** Which files are videos, by their first bytes and not by their names. */

/** First bytes of a file that identify its format. */
export const SNIFFED_BYTES = 389;

/** @type {[number, string][]} */
const SIGNATURES = [
  [4, 'ftyp'],
  [4, 'moov'],
  [4, 'mdat'],
  [4, 'wide'],
  [4, 'free'],
  [0, '\x1aE\xdf\xa3'],
  [8, 'AVI '],
  [0, '\0\0\x01\xba'],
  [0, '\0\0\x01\xb3'],
  [0, 'FLV\x01'],
  [0, '0&\xb2u\x8ef\xcf\x11'],
  [0, 'OggS'],
];

/** Where packets of transport streams have the byte G: plain, and with times. */
const TS_SYNC = [
  [0, 188, 376],
  [4, 196, 388],
];

/**
 * Tell whether a file that is no picture is a video, by its first bytes.
 * @param {Uint8Array} head SNIFFED_BYTES, or all of a shorter file
 */
export function isVideo(head) {
  const has = (/** @type {number} */ at, /** @type {string} */ magic) =>
    [...magic].every((letter, index) => head[at + index] === letter.charCodeAt(0));
  return (
    SIGNATURES.some(([at, magic]) => has(at, magic)) ||
    TS_SYNC.some((places) => places.every((at) => has(at, 'G')))
  );
}
