/**
 * Case numbers and PINs, as disrupt/core/cases.py and docs/case-numbers.md define them.
 *
 * @module
 */

const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const RADIX = ALPHABET.length;
const RANDOM_CHARACTERS = 10;
const REQUEST_ID_BYTES = 16;
const PIN_DIGITS = 12;

/**
 * Draw the id of a registration: 16 random bytes.
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function newRequestId() {
  return crypto.getRandomValues(new Uint8Array(REQUEST_ID_BYTES));
}

/**
 * Draw the PIN of a new case: 12 random digits.
 * @returns {string}
 */
export function newPin() {
  let pin = '';
  while (pin.length < PIN_DIGITS) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 250 is the largest multiple of 10: above it some digits would be likelier.
    if (byte < 250) pin += byte % 10;
  }
  return pin;
}

/**
 * Derive the number of the case that a registration opens.
 * @param {Uint8Array<ArrayBuffer>} requestId 16 bytes
 * @returns {Promise<string>} as in ABCD-EFGH-JKM
 */
export async function newCaseNumber(requestId) {
  const derivation = new TextEncoder().encode('disrupt case number 1\0');
  const input = new Uint8Array([...derivation, ...requestId]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', input));
  let value = digest.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let characters = '';
  for (let place = 0; place < RANDOM_CHARACTERS; place++) {
    characters += ALPHABET[Number(value % BigInt(RADIX))];
    value /= BigInt(RADIX);
  }
  return grouped(characters + checkCharacter(characters));
}

/**
 * Parse a typed case number. Spaces, dashes and letter case do not matter.
 * @param {string} text
 * @returns {string | undefined} the canonical form; undefined for what is no case number
 */
export function parseCaseNumber(text) {
  const characters = withoutSpaces(text.toUpperCase()).replace(/\p{Pd}/gu, '');
  const random = characters.slice(0, -1);
  const isNumber =
    characters.length === RANDOM_CHARACTERS + 1 &&
    [...characters].every((character) => ALPHABET.includes(character)) &&
    checkCharacter(random) === characters.slice(-1);
  return isNumber ? grouped(characters) : undefined;
}

/**
 * Parse a typed PIN of 8 to 16 digits. Spaces do not matter.
 * @param {string} text
 * @returns {string | undefined} the digits; undefined for what is no PIN
 */
export function parsePin(text) {
  const pin = withoutSpaces(text);
  return /^[0-9]{8,16}$/.test(pin) ? pin : undefined;
}

/**
 * Write a PIN in groups of four digits.
 * @param {string} pin
 * @returns {string}
 */
export function groupedPin(pin) {
  return pin.replace(/(\d{4})(?=\d)/g, '$1 ');
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

/**
 * Drop spaces of any kind and invisible characters: copies out of documents have them.
 * @param {string} text
 */
function withoutSpaces(text) {
  return text.replace(/[\s\p{Cf}]/gu, '');
}

/** @param {string} characters */
function grouped(characters) {
  return characters.replace(/^(.{4})(.{4})(.{3})$/, '$1-$2-$3');
}
