/**
 * What the page knows of one person's visit. It is in memory only, and gone with the page.
 *
 * @module
 */

import { identity, newCaseNumber, newPin, newRequestId } from '../messages/cases.js';
import { Hasher } from './hasher.js';
import { Proofs } from './proofs.js';
import { Sending } from './sending.js';

/**
 * Where a file stands: chosen, then hashed, then sent. REFUSED on this device, REJECTED by the
 * service; UNKNOWN: sent, and no answer came.
 * @typedef {'WAITING' | 'HASHING' | 'READY' | 'REFUSED' | 'SENDING' | 'REGISTERED' | 'REJECTED' |
 *   'UNKNOWN'} Step
 */
/** @typedef {import('../messages/messages.js').Media} Media */
/** @typedef {import('../messages/messages.js').Case} Case */
/** @typedef {import('../messages/messages.js').CaseItem} CaseItem */

/**
 * One chosen file.
 * @typedef {object} Item
 * @property {File} file
 * @property {Step} step
 * @property {number} share of it that is hashed, 0 to 1
 * @property {Media & {incomplete?: boolean, firstFrameOnly?: boolean}} [media]
 * @property {string} [age] as which the case has it already, of AGE_BAND
 * @property {string} [reason] why it was refused or rejected
 * @property {string} [preview] object URL, while the person looks at it
 * @property {import('../messages/messages.js').RegisteredItem} [registered]
 */

/**
 * What is typed to open a case, or to check a receipt: nothing.
 * @type {Readonly<{number: string, pin: string, receipt: string}>}
 */
export const UNTYPED = Object.freeze({ number: '', pin: '', receipt: '' });

/** Events: `items` when files came or went, `item` when one changed (`detail`). */
export class Session extends EventTarget {
  /** Whether the person helps somebody else. */
  isHelper = false;
  /** Whether the person says that they are an adult today, whatever the age on the pictures. */
  isGrown = false;
  /** Of AGE_BAND: what the person says of the files. */
  ageBand = 'UNSPECIFIED';
  /** Whether files that the case has under another age get this one. */
  changesAges = false;
  /** @type {Item[]} */
  items = [];
  /** Number and PIN of the case; empty until they are drawn or typed. */
  access = { caseNumber: '', pin: '' };
  /** What was typed, as long as no case is opened. */
  typed = UNTYPED;
  /** Code of the receipt of the last withdrawal, whose erasure is also that of those before. */
  receiptCode = '';
  /** Whether the case exists, as an answer said. */
  hasCase = false;
  requestId = newRequestId();
  sending = new Sending(this);
  /**
   * The case as last seen.
   * @type {Case | undefined}
   */
  case;
  /** Whether a call that changes the case was sent and not answered: `case` may be out of date. */
  isCaseUnclear = false;
  hasher = new Hasher();
  proofs = new Proofs();
  #isHashing = false;
  /** Gives up the file that is being hashed. */
  #hashing = new AbortController();

  /** Whether files are still to be hashed. */
  get isHashing() {
    return this.items.some(({ step }) => step === 'WAITING' || step === 'HASHING');
  }

  /** @param {...Step} steps */
  itemsAt(...steps) {
    return this.items.filter(({ step }) => steps.includes(step));
  }

  /** Draw number and PIN of a new case, once. */
  async drawCase() {
    if (this.access.caseNumber) return;
    this.access = { caseNumber: await newCaseNumber(this.requestId), pin: newPin() };
  }

  /**
   * Add files, and begin to hash them and to pay for their turns; also those that were refused, and are chosen again.
   * @param {Iterable<File>} files
   */
  add(files) {
    const added = [...files];
    if (added.length) this.proofs.ask(added.length);
    for (const file of added) {
      const refused = this.itemsAt('REFUSED').find((item) => isSame(item.file, file));
      if (!refused) this.items.push({ file, step: 'WAITING', share: 0 });
      else Object.assign(refused, { file, step: 'WAITING', share: 0, reason: undefined });
    }
    this.dispatchEvent(new Event('items'));
    void this.#hashAll();
  }

  /**
   * Take a file away again.
   * @param {Item} item
   */
  remove(item) {
    if (item.step === 'HASHING') this.#hashing.abort();
    hidePreview(item);
    this.items = this.items.filter((each) => each !== item);
    this.dispatchEvent(new Event('items'));
  }

  /**
   * Say which item of the case a file is, without keeping or sending anything of it.
   * @param {File} file
   * @param {AbortSignal} signal gives it up
   * @returns {Promise<{item?: CaseItem} | {reason: string}>} the item; no item: none is this file;
   *   or why it cannot be hashed
   */
  async find(file, signal) {
    const outcome = await this.hasher.hash(file, () => {}, signal);
    return 'media' in outcome ? { item: await this.#itemOf(outcome.media) } : outcome;
  }

  /** Forget the files, and end their sending; the case stays known. */
  forgetItems() {
    this.sending.stop();
    this.#hashing.abort();
    this.items.forEach(hidePreview);
    this.items = [];
    this.changesAges = false;
    this.requestId = newRequestId();
    this.sending = new Sending(this);
  }

  /** Forget everything, and end the workers. */
  close() {
    this.forgetItems();
    this.hasher.close();
    this.proofs.close();
    this.access = { caseNumber: '', pin: '' };
    this.typed = UNTYPED;
    this.receiptCode = '';
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
    this.#hashing = new AbortController();
    const show = (/** @type {number} */ share) => {
      item.share = share;
      this.changed(item);
    };
    const outcome = await this.hasher.hash(item.file, show, this.#hashing.signal);
    if ('media' in outcome) {
      item.media = outcome.media;
      item.age = (await this.#itemOf(outcome.media))?.ageBand;
      item.step = 'READY';
    } else {
      item.step = 'REFUSED';
      item.reason = outcome.reason;
    }
    this.changed(item);
  }

  /**
   * Return the item of the case that a file is.
   * @param {Media} media
   */
  async #itemOf(media) {
    if (!this.case) return undefined;
    const name = String(await identity(media));
    return this.case.items.find((item) => name && String(item.identity) === name);
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
 * Whether two may be the same file, chosen again.
 * @param {File} one
 * @param {File} other
 */
function isSame(one, other) {
  return (
    one.name === other.name && one.size === other.size && one.lastModified === other.lastModified
  );
}
