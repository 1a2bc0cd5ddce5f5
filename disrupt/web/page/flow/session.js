/**
 * What the page knows of one person's visit. It is in memory only, and gone with the page.
 *
 * @module
 */

import { newCaseNumber, newPin, newRequestId } from '../messages/cases.js';
import { AGE_BAND } from '../messages/messages.js';
import { Hasher } from './hashing.js';
import { Sending } from './sending.js';

/**
 * Where a file stands: chosen, then hashed, then sent. REFUSED on this device, REJECTED by the
 * service; UNKNOWN: sent, and no answer came.
 * @typedef {'WAITING' | 'HASHING' | 'READY' | 'REFUSED' | 'SENDING' | 'REGISTERED' | 'REJECTED' |
 *   'UNKNOWN'} Step
 */

/**
 * One chosen file.
 * @typedef {object} Item
 * @property {File} file
 * @property {Step} step
 * @property {number} progress of hashing, 0 to 1
 * @property {import('./hashing.js').Result} [result]
 * @property {string} [cause] why it was refused or rejected
 * @property {string} [preview] object URL, while the person looks at it
 * @property {import('../messages/messages.js').RegisteredItem} [registered]
 */

/** Events: `items` when files came or went, `item` when one changed (`detail`). */
export class Session extends EventTarget {
  /** @type {'ME' | 'OTHER' | undefined} */
  who;
  /** @type {number} */
  ageBand = AGE_BAND.UNSURE;
  /** @type {Item[]} */
  items = [];
  /** Number and PIN of the case; empty until they are drawn or typed. */
  access = { caseNumber: '', pin: '' };
  /** What was typed to open a case, as long as it is not opened. */
  typed = { number: '', pin: '' };
  /** Whether the case exists, as its number was typed or a registration was answered. */
  hasCase = false;
  requestId = newRequestId();
  sending = new Sending(this);
  /**
   * The case as last seen.
   * @type {import('../messages/messages.js').Case | undefined}
   */
  case;
  /** Whether a call that changes the case was sent and not answered: `case` may be out of date. */
  isCaseUnclear = false;
  #hasher = new Hasher();
  #isHashing = false;

  /** Whether leaving loses something: files, or a number that may be of a case. */
  get isUnderway() {
    return this.items.some(({ step }) => step !== 'REGISTERED' && step !== 'REJECTED');
  }

  /** Whether files are still to be hashed. */
  get isHashing() {
    return this.items.some(({ step }) => step === 'WAITING' || step === 'HASHING');
  }

  /** @param {Step} step */
  itemsAt(step) {
    return this.items.filter((item) => item.step === step);
  }

  /** Draw number and PIN of a new case, once. */
  async drawCase() {
    if (this.access.caseNumber) return;
    this.access = { caseNumber: await newCaseNumber(this.requestId), pin: newPin() };
  }

  /** Draw another number for the new case: the first one is taken. */
  async drawAnotherNumber() {
    this.requestId = newRequestId();
    this.access = { ...this.access, caseNumber: await newCaseNumber(this.requestId) };
  }

  /**
   * Add files, and begin to hash them; also those that were refused, and are chosen again.
   * @param {Iterable<File>} files
   */
  add(files) {
    for (const file of files) {
      const chosen = this.items.find((item) => isSame(item.file, file));
      if (!chosen) this.items.push({ file, step: 'WAITING', progress: 0 });
      else if (chosen.step === 'REFUSED')
        Object.assign(chosen, { file, step: 'WAITING', progress: 0, cause: undefined });
    }
    this.dispatchEvent(new Event('items'));
    void this.#hashAll();
  }

  /**
   * Take a file away again.
   * @param {Item} item
   */
  remove(item) {
    if (item.step === 'HASHING') this.#hasher.cancel();
    hidePreview(item);
    this.items = this.items.filter((each) => each !== item);
    this.dispatchEvent(new Event('items'));
  }

  /** Forget the files, and end their sending; the case stays known. */
  forgetItems() {
    this.sending.stop();
    this.items.forEach(hidePreview);
    this.items = [];
    this.requestId = newRequestId();
    this.sending = new Sending(this);
  }

  /** Forget everything, and end the worker. */
  close() {
    this.forgetItems();
    this.#hasher.close();
    this.access = { caseNumber: '', pin: '' };
    this.typed = { number: '', pin: '' };
    this.case = undefined;
  }

  /**
   * Say that a file changed.
   * @param {Item} item
   */
  changed(item) {
    this.dispatchEvent(new CustomEvent('item', { detail: item }));
  }

  async #hashAll() {
    if (this.#isHashing) return;
    this.#isHashing = true;
    for (let item; (item = this.items.find(({ step }) => step === 'WAITING'));)
      await this.#hash(item);
    this.#isHashing = false;
  }

  /** @param {Item} item */
  async #hash(item) {
    item.step = 'HASHING';
    this.changed(item);
    const outcome = item.file.size
      ? await this.#hasher.hash(item.file, (share) => {
          item.progress = share;
          this.changed(item);
        })
      : { refused: { cause: 'EMPTY' } };
    if ('result' in outcome) {
      item.step = 'READY';
      item.result = outcome.result;
    } else {
      item.step = 'REFUSED';
      item.cause = outcome.refused.cause;
    }
    this.changed(item);
  }
}

/**
 * Show or hide the preview of a file.
 * @param {Item} item
 */
export function togglePreview(item) {
  if (item.preview) hidePreview(item);
  else item.preview = URL.createObjectURL(item.file);
}

/** @param {Item} item */
function hidePreview(item) {
  if (item.preview) URL.revokeObjectURL(item.preview);
  item.preview = undefined;
}

/**
 * Whether two are the same file, chosen twice.
 * @param {File} one
 * @param {File} other
 */
function isSame(one, other) {
  return (
    one.name === other.name && one.size === other.size && one.lastModified === other.lastModified
  );
}
