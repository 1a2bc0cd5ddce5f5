/**
 * Case numbers, PINs and identities of media, as docs/case-numbers.md defines them.
 *
 * @module
 */

import { MEDIA_KIND } from './messages.js';

const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const RADIX = ALPHABET.length;
const RANDOM_CHARACTERS = 10;
const REQUEST_ID_BYTES = 16;
const PIN_DIGITS = 12;
const HASH_BYTES = 32;
const IDENTITY_BYTES = 16;
const QUALITY_MIN = 50;

/**
 * Draw the id of a registration, 16 random bytes.
 */
export function newRequestId() {
  return crypto.getRandomValues(new Uint8Array(REQUEST_ID_BYTES));
}

/**
 * Draw the PIN of a new case.
 */
export function newPin() {
  let pin = '';
  while (pin.length < PIN_DIGITS) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // Above 250, the largest multiple of 10, some digits would be likelier.
    if (byte < 250) pin += byte % 10;
  }
  return pin;
}

/**
 * Derive the number of the case that a registration opens, as in ABCD-EFGH-JKM.
 * @param {Uint8Array<ArrayBuffer>} requestId 16 bytes
 */
export async function newCaseNumber(requestId) {
  const prefix = new TextEncoder().encode('disrupt case number 1\0');
  const digest = await sha256(new Uint8Array([...prefix, ...requestId]));
  let value = digest.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let characters = '';
  for (let place = 0; place < RANDOM_CHARACTERS; place++) {
    characters += ALPHABET[Number(value % BigInt(RADIX))];
    value /= BigInt(RADIX);
  }
  return grouped(characters + checkCharacter(characters));
}

/**
 * Parse a typed case number; spaces, dashes and letter case do not matter.
 * @param {string} text
 * @returns {string | undefined} the canonical form; undefined for what is no case number
 */
export function parseCaseNumber(text) {
  const characters = withoutSeparators(text.toUpperCase());
  const isNumber =
    characters.length === RANDOM_CHARACTERS + 1 &&
    [...characters].every((character) => ALPHABET.includes(character)) &&
    checkCharacter(characters.slice(0, -1)) === characters.slice(-1);
  return isNumber ? grouped(characters) : undefined;
}

/**
 * Parse a typed PIN; spaces and dashes do not matter.
 * @param {string} text
 * @returns {string | undefined} its digits; undefined for what is no PIN
 */
export function parsePin(text) {
  const pin = withoutSeparators(text);
  return pin.length === PIN_DIGITS && /^[0-9]+$/.test(pin) ? pin : undefined;
}

/**
 * Parse the typed code of a receipt; spaces, the kind of dash and letter case do not matter.
 * @param {string} text
 * @returns {string | undefined} as NUMBER-DIGEST; undefined for what is no code
 */
export function parseReceiptCode(text) {
  const code = text.toLowerCase().split(/\p{Pd}/u).map(withoutSeparators).join('-');
  return /^(0|[1-9][0-9]{0,17})-[0-9a-f]{64}$/.test(code) ? code : undefined;
}

/**
 * Write the code of a receipt in groups of eight characters, after its number.
 * @param {string} code
 */
export function groupedReceiptCode(code) {
  return code.replace(/([0-9a-f]{8})(?=[0-9a-f])/g, '$1 ');
}

/**
 * Write a PIN in groups of four digits.
 * @param {string} pin
 */
export function groupedPin(pin) {
  return pin.replace(/(\d{4})(?=\d)/g, '$1 ');
}

/**
 * Compute the identity of a file, which CaseItem.identity names if the case has it already.
 * @param {import('./messages.js').Media} media
 * @returns {Promise<Uint8Array>} 16 bytes; none if no hash of plan 0 is stored of it
 */
export async function identity({ kind, hashes, qualities, plans, ordinals, startMs, endMs }) {
  /** @type {Set<string>} rows in hex, in whose order the bytes are sorted too */
  const rows = new Set();
  qualities.forEach((quality, at) => {
    if (plans[at] !== 0 || quality < QUALITY_MIN) return;
    const row = new Uint8Array(HASH_BYTES + 10);
    const view = new DataView(row.buffer);
    view.setUint16(0, ordinals[at], true);
    row.set(hashes.subarray(HASH_BYTES * at, HASH_BYTES * (at + 1)), 2);
    view.setUint32(HASH_BYTES + 2, startMs?.[at] ?? 0, true);
    view.setUint32(HASH_BYTES + 6, endMs?.[at] ?? 0, true);
    rows.add([...row].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  });
  if (!rows.size) return new Uint8Array();
  const hex = [...rows].sort().join('');
  const bytes = new Uint8Array(1 + hex.length / 2);
  bytes[0] = MEDIA_KIND.indexOf(kind === 'video' ? 'VIDEO' : 'IMAGE');
  for (let at = 1; at < bytes.length; at++) bytes[at] = parseInt(hex.slice(2 * at - 2, 2 * at), 16);
  return (await sha256(bytes)).slice(0, IDENTITY_BYTES);
}

/**
 * Return the check character by ISO 7064, MOD 31,30.
 * @param {string} characters
 */
function checkCharacter(characters) {
  let check = RADIX;
  for (const character of characters) {
    check = (check + ALPHABET.indexOf(character)) % RADIX || RADIX;
    check = (check * 2) % (RADIX + 1);
  }
  return ALPHABET[(1 - check + RADIX) % RADIX];
}

/** @param {string} text */
function withoutSeparators(text) {
  return text
    .replace(/[\s\p{Cf}\p{Pd}\x1c-\x1f\x85]/gu, '')
    .replace(/[٠-٩۰-۹]/g, (digit) => String(digit.charCodeAt(0) & 0xf));
}

/** @param {string} characters */
function grouped(characters) {
  return characters.replace(/^(.{4})(.{4})(.{3})$/, '$1-$2-$3');
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}
