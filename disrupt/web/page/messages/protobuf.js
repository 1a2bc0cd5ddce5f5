/**
 * Encode and decode protobuf messages, described by tables of fields (messages.js).
 *
 * Writes what Python's protobuf writes: fields by ascending number, no defaults, repeated numbers
 * packed. Reading skips fields that the table does not have, and throws a RangeError for bytes that
 * are no message. See docs/decisions/0037 for why no library does this.
 *
 * @module
 */

/**
 * How one field is written. `type` is a scalar, or the table of a message. Numbers are unsigned
 * varints of at most 2^53 - 1; an enumeration is one.
 * @typedef {object} Field
 * @property {number} number
 * @property {'string' | 'bytes' | 'varint' | Fields} type
 * @property {boolean} [repeated]
 */

/**
 * The fields of a message by name, ascending by number.
 * @typedef {{[name: string]: Field}} Fields
 */

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** A varint of this many bytes may be above 2^53 - 1. */
const MOST_VARINT_BYTES = 8;

const utf8 = new TextEncoder();

/**
 * Encode a message.
 * @param {Fields} fields
 * @param {object} message values by name of field; absent ones, defaults and empty lists are left
 *   out
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(fields, message) {
  /** @type {Uint8Array[]} */
  const parts = [];
  const values = /** @type {{[name: string]: any}} */ (message);
  for (const name of Object.keys(values)) {
    if (!(name in fields)) throw new TypeError(`a message without a field ${name}`);
  }
  for (const [name, field] of Object.entries(fields)) {
    const value = values[name];
    if (value === undefined) continue;
    if (!field.repeated) writeField(parts, field, value);
    else if (field.type === 'varint') writePacked(parts, field, value);
    else for (const each of value) writeDelimited(parts, field.number, contents(field, each));
  }
  return joined(parts);
}

/**
 * Decode a message. Absent fields have their defaults, absent messages are undefined.
 * @param {Fields} fields
 * @param {Uint8Array} bytes
 * @returns {any}
 */
export function decode(fields, bytes) {
  const message = defaults(fields);
  const byNumber = new Map(
    Object.entries(fields).map(([name, field]) => [field.number, { name, field }]),
  );
  const reader = new Reader(bytes);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const wire = tag % 8;
    const known = byNumber.get(Math.floor(tag / 8));
    if (known && wire === (known.field.type === 'varint' ? VARINT : DELIMITED)) {
      const value = wire === VARINT ? reader.varint() : parsed(known.field, reader.delimited());
      if (known.field.repeated) message[known.name].push(value);
      else message[known.name] = value;
    } else if (known?.field.repeated && known.field.type === 'varint' && wire === DELIMITED) {
      const packed = new Reader(reader.delimited());
      while (!packed.isAtEnd) message[known.name].push(packed.varint());
    } else {
      reader.skip(wire);
    }
  }
  return message;
}

/** @param {Fields} fields @returns {{[name: string]: any}} */
function defaults(fields) {
  /** @type {{[name: string]: any}} */
  const message = {};
  for (const [name, { type, repeated }] of Object.entries(fields)) {
    if (repeated) message[name] = [];
    else if (type === 'varint') message[name] = 0;
    else if (type === 'string') message[name] = '';
    else if (type === 'bytes') message[name] = new Uint8Array();
    else message[name] = undefined;
  }
  return message;
}

/** @param {Uint8Array[]} parts @param {Field} field @param {any} value */
function writeField(parts, field, value) {
  if (field.type === 'varint') {
    if (value !== 0) parts.push(varint(field.number * 8 + VARINT), varint(value));
    return;
  }
  const bytes = contents(field, value);
  if (bytes.length || typeof field.type === 'object') writeDelimited(parts, field.number, bytes);
}

/** @param {Uint8Array[]} parts @param {Field} field @param {number[]} values */
function writePacked(parts, field, values) {
  if (values.length) writeDelimited(parts, field.number, joined(values.map(varint)));
}

/** @param {Uint8Array[]} parts @param {number} number @param {Uint8Array} bytes */
function writeDelimited(parts, number, bytes) {
  parts.push(varint(number * 8 + DELIMITED), varint(bytes.length), bytes);
}

/** @param {Field} field @param {any} value @returns {Uint8Array} */
function contents(field, value) {
  if (field.type === 'string') return utf8.encode(value);
  if (field.type === 'bytes') return value;
  return encode(/** @type {Fields} */ (field.type), value);
}

/** @param {Field} field @param {Uint8Array} bytes */
function parsed(field, bytes) {
  if (field.type === 'bytes') return bytes.slice();
  if (field.type !== 'string') return decode(/** @type {Fields} */ (field.type), bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RangeError('a text that is not UTF-8');
  }
}

/** @param {number} value an integer from 0 to 2^53 - 1 @returns {Uint8Array} */
function varint(value) {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError('a number that no field takes');
  const bytes = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
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

  /** @returns {number} */
  varint() {
    let value = 0;
    for (let place = 0; place < MOST_VARINT_BYTES; place++) {
      const byte = this.take(1)[0];
      value += (byte % 128) * 128 ** place;
      if (byte < 128 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new RangeError('a number that is too large');
  }

  delimited() {
    return this.take(this.varint());
  }

  /** @param {number} wire type of the field to skip */
  skip(wire) {
    if (wire === DELIMITED) this.delimited();
    else if (wire === FIXED64) this.take(8);
    else if (wire === FIXED32) this.take(4);
    else if (wire === VARINT) this.skipVarint();
    else throw new RangeError('a field of no known type');
  }

  /** Skip a varint of up to 10 bytes: one that is not read may be negative. */
  skipVarint() {
    for (let place = 0; place < 10; place++) {
      if (this.take(1)[0] < 128) return;
    }
    throw new RangeError('a number that does not end');
  }

  /** @param {number} length @returns {Uint8Array} */
  take(length) {
    if (length > this.bytes.length - this.at) throw new RangeError('a message that ends early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
