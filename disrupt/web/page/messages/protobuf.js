/**
 * Encode and decode protobuf messages, which tables of fields describe (messages.js).
 *
 * Encodes to the bytes that Python's protobuf makes: fields by ascending number, no defaults,
 * repeated numbers packed. Decoding skips fields that the table lacks, and throws a RangeError for
 * bytes that are no message.
 *
 * @module
 */

/**
 * A field: its number, its type, and whether it is repeated. A table is the type of a message, a
 * list the names of an enumeration from 0. Numbers are unsigned, and at most 2^53 - 1.
 * @typedef {'string' | 'bytes' | 'number' | readonly string[] | Fields} Type
 * @typedef {[number: number, type: Type, repeated?: 'repeated']} Field
 */

/**
 * The fields of a message by name, ascending by number.
 * @typedef {{[name: string]: Field}} Fields
 */

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Longest varint of protobuf: one that is skipped may be negative, or of 64 bits. */
const VARINT_BYTES_MAX = 10;

const NOTHING = new Uint8Array();

/**
 * Encode a message.
 * @param {Fields} fields
 * @param {object} message values by name; absent ones are defaults
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(fields, message) {
  /** @type {(number | Uint8Array)[]} single bytes, and runs of them */
  const parts = [];
  const values = /** @type {{[name: string]: any}} */ (message);
  for (const name in values) if (!(name in fields)) throw new TypeError(`no field ${name}`);
  for (const [name, [number, type, repeated]] of Object.entries(fields)) {
    const value = values[name];
    if (value === undefined) continue;
    if (!isNumeric(type)) {
      for (const each of repeated ? value : [value]) {
        const bytes = contents(type, each);
        if (bytes.length || repeated || typeof type === 'object') delimit(parts, number, bytes);
      }
    } else if (repeated) {
      /** @type {number[]} */
      const packed = [];
      for (const each of value) putVarint(packed, numberOf(type, each));
      if (packed.length) delimit(parts, number, Uint8Array.from(packed));
    } else if (numberOf(type, value) !== 0) {
      putVarint(parts, number * 8 + VARINT);
      putVarint(parts, numberOf(type, value));
    }
  }
  return joined(parts);
}

/**
 * Decode a message. Absent fields have their defaults; an absent message is undefined. A number that
 * an enumeration lacks is its first name.
 * @param {Fields} fields
 * @param {Uint8Array} bytes
 * @returns {any}
 */
export function decode(fields, bytes) {
  /** @type {{[name: string]: any}} */
  const message = {};
  /** @type {Map<number, [string, Field]>} */
  const byNumber = new Map();
  for (const [name, field] of Object.entries(fields)) {
    byNumber.set(field[0], [name, field]);
    message[name] = fresh(field);
  }
  const reader = new Reader(bytes);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const [name, field] = byNumber.get(Math.floor(tag / 8)) ?? ['', undefined];
    const wire = tag % 8;
    if (field && isNumeric(field[1]) && wire === VARINT) {
      put(message, name, field, reader.varint());
    } else if (field?.[2] && isNumeric(field[1]) && wire === DELIMITED) {
      const packed = new Reader(reader.delimited());
      while (!packed.isAtEnd) put(message, name, field, packed.varint());
    } else if (field && !isNumeric(field[1]) && wire === DELIMITED) {
      put(message, name, field, reader.delimited());
    } else reader.skip(wire);
  }
  return message;
}

/** @param {Type} type */
function isNumeric(type) {
  return type === 'number' || Array.isArray(type);
}

/** @param {Type} type @param {number | string} value @returns {number} */
function numberOf(type, value) {
  return Array.isArray(type) ? type.indexOf(value) : Number(value);
}

/** @param {Field} field */
function fresh([, type, repeated]) {
  if (repeated) return [];
  if (Array.isArray(type)) return type[0];
  return { number: 0, string: '', bytes: NOTHING }[String(type)];
}

/**
 * @param {{[name: string]: any}} message
 * @param {string} name
 * @param {Field} field
 * @param {any} encoded
 */
function put(message, name, [, type, repeated], encoded) {
  const value = parsed(type, encoded);
  if (repeated) message[name].push(value);
  else message[name] = value;
}

/** @param {(number | Uint8Array)[]} parts @param {number} number @param {Uint8Array} bytes */
function delimit(parts, number, bytes) {
  putVarint(parts, number * 8 + DELIMITED);
  putVarint(parts, bytes.length);
  parts.push(bytes);
}

/** @param {Type} type @param {any} value @returns {Uint8Array} */
function contents(type, value) {
  if (type === 'string') return new TextEncoder().encode(value);
  return type === 'bytes' ? value : encode(/** @type {Fields} */ (type), value);
}

/** @param {Type} type @param {any} encoded a number, or bytes */
function parsed(type, encoded) {
  if (type === 'number') return encoded;
  if (Array.isArray(type)) return type[encoded] ?? type[0];
  if (type === 'bytes') return encoded.slice();
  if (type !== 'string') return decode(/** @type {Fields} */ (type), encoded);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(encoded);
  } catch {
    throw new RangeError('a text that is not UTF-8');
  }
}

/** @param {(number | Uint8Array)[]} parts @param {number} value an integer from 0 to 2^53 - 1 */
function putVarint(parts, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('a number that no field takes');
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) parts.push((rest % 128) + 128);
  parts.push(rest);
}

/** @param {(number | Uint8Array)[]} parts */
function joined(parts) {
  const size = (/** @type {number | Uint8Array} */ part) => (typeof part === 'number' ? 1 : part.length);
  const bytes = new Uint8Array(parts.reduce((/** @type {number} */ sum, part) => sum + size(part), 0));
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'number') bytes[at] = part;
    else bytes.set(part, at);
    at += size(part);
  }
  return bytes;
}

/** Reads a message from its beginning. */
class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get isAtEnd() {
    return this.at === this.bytes.length;
  }

  /** Read a varint. @returns {number} */
  varint() {
    const value = this.varintOrMore();
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a number that is too large');
    return value;
  }

  /** Read a varint, inexactly above 2^53 - 1. */
  varintOrMore() {
    let value = 0;
    for (let place = 0; place < VARINT_BYTES_MAX; place++) {
      const byte = this.take(1)[0];
      value += (byte % 128) * 128 ** place;
      if (byte < 128) return value;
    }
    throw new RangeError('a number that does not end');
  }

  /** Read bytes that their length precedes. */
  delimited() {
    return this.take(this.varint());
  }

  /** @param {number} wire type of the field to skip */
  skip(wire) {
    if (wire === DELIMITED) this.delimited();
    else if (wire === FIXED64) this.take(8);
    else if (wire === FIXED32) this.take(4);
    else if (wire === VARINT) this.varintOrMore();
    else throw new RangeError('a field of no known type');
  }

  /** @param {number} length @returns {Uint8Array} */
  take(length) {
    if (length > this.bytes.length - this.at) throw new RangeError('a message that ends early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
