/**
 * Register the hashed files, in requests of a few, into one case.
 *
 * @module
 */

import { registerHashes } from '../messages/calls.js';
import { newRequestId } from '../messages/cases.js';
import { Failure, patiently } from './calling.js';
import { currentLanguage } from './texts.js';

/** Most files in one request, as the command line sends them. */
const ITEMS_PER_REQUEST = 8;
/** Most hashes in one request, unless one file has more: a large body fails on a bad network. */
const HASHES_PER_REQUEST = 2000;

/** @typedef {import('./session.js').Item} Item */

/**
 * Sends the files of a session. It may be stopped, and goes on where it was: a request of which no
 * answer came is sent again as it was, under its id, and so registers nothing twice.
 */
export class Sending {
  /**
   * Told when a request waits for its next attempt.
   * @type {(wait?: import('./calling.js').Wait) => void}
   */
  onWait = () => {};
  /**
   * What ended the last run.
   * @type {Failure | undefined}
   */
  failure;
  #session;
  /**
   * The request of which no answer came yet, its files, and whether it may have taken effect.
   * @type {{items: Item[], ageBand: string, isUnclear: boolean} | undefined}
   */
  #batch;
  #mostItems = ITEMS_PER_REQUEST;
  /** @type {AbortController | undefined} */
  #stopping;

  /** @param {import('./session.js').Session} session */
  constructor(session) {
    this.#session = session;
  }

  get isRunning() {
    return this.#stopping !== undefined;
  }

  /** Stop at once. Files of a request that is under way become UNKNOWN. */
  stop() {
    this.#stopping?.abort();
  }

  /** Send what is READY or UNKNOWN, until all is answered or `failure` says why not. */
  async run() {
    if (this.isRunning) return;
    this.#stopping = new AbortController();
    this.failure = undefined;
    try {
      while ((this.#batch ??= this.#next())) await this.#send(this.#batch, this.#stopping.signal);
    } catch (error) {
      this.failure = error instanceof Failure ? error : new Failure('INTERNAL', 0, true);
      this.#settle(this.failure.isUnclear);
    } finally {
      this.#stopping = undefined;
    }
  }

  /** Return the next request: files of one age, since an age is said of all of a request. */
  #next() {
    const ready = this.#session.itemsAt('READY');
    if (!ready.length) return undefined;
    const ageBand = this.#ageOf(ready[0]);
    const alike = ready.filter((item) => this.#ageOf(item) === ageBand);
    let hashes = 0;
    const end = alike.findIndex(({ media }, place) => {
      hashes += media?.qualities.length ?? 0;
      return place === this.#mostItems || (place > 0 && hashes > HASHES_PER_REQUEST);
    });
    return { items: end < 0 ? alike : alike.slice(0, end), ageBand, isUnclear: false };
  }

  /**
   * Return the age to send: a file that the case has under another keeps it, unless asked for.
   * @param {Item} item
   */
  #ageOf({ age }) {
    const { ageBand, changesAges } = this.#session;
    return age && age !== ageBand && !changesAges ? 'UNSPECIFIED' : ageBand;
  }

  /** @param {{items: Item[], ageBand: string, isUnclear: boolean}} batch @param {AbortSignal} signal */
  async #send({ items, ageBand, isUnclear }, signal) {
    const session = this.#session;
    const { access, hasCase, requestId } = session;
    this.#mark('SENDING');
    const proof = await session.proofs.best(signal);
    if (signal.aborted) throw new Failure('STOPPED', 0, false);
    const mayBeLess = items.length > 1 && !isUnclear;
    const request = {
      requestId,
      access: hasCase ? access : { caseNumber: '', pin: access.pin },
      ageBand,
      newCaseNumber: hasCase ? '' : access.caseNumber,
      proofOfWork: proof?.text ?? '',
      language: currentLanguage().tag,
      items: items.flatMap(({ media }) => media ?? []),
    };
    const receipt = await patiently((options) => registerHashes(request, options), {
      signal,
      onWait: (wait) => this.onWait(wait),
      refusals: ['STORAGE_FULL'],
      mayBeLess,
    }).catch((error) => {
      if (!(mayBeLess && error.reason === 'OVERLOADED' && !error.isUnclear)) throw error;
    });
    if (!receipt) {
      // A service that is busy has more room for one file at a time.
      this.#mostItems = 1;
      this.#settle(false);
      return;
    }
    check(receipt, items.length, access.caseNumber);
    if (proof)
      proof.left -= receipt.items.filter(
        ({ outcome, waitReason }) => outcome !== 'KEPT' && waitReason === 'LIMIT',
      ).length;
    for (const registered of receipt.items)
      Object.assign(items[registered.index], { registered, step: 'REGISTERED' });
    for (const { index, lowQuality } of receipt.rejected) {
      const isRegular = lowQuality && lowQuality.quality >= lowQuality.minimumQuality;
      const reason = isRegular ? 'too-regular' : 'featureless';
      Object.assign(items[index], { reason, step: 'REJECTED' });
    }
    items.forEach((item) => session.changed(item));
    this.#batch = undefined;
    // A request that registered nothing has not used its id up, and opened no case.
    if (receipt.items.length) {
      session.hasCase = true;
      session.requestId = newRequestId();
    }
  }

  /**
   * Say where the files of a request stand that was not answered. One that may have taken effect
   * stays as it is, whatever becomes of its next attempts, and is sent again under its id.
   * @param {boolean} isUnclear
   */
  #settle(isUnclear) {
    if (this.#batch) this.#batch.isUnclear ||= isUnclear;
    const isKept = this.#batch?.isUnclear;
    this.#mark(isKept ? 'UNKNOWN' : 'READY');
    if (!isKept) this.#batch = undefined;
  }

  /** @param {import('./session.js').Step} step */
  #mark(step) {
    for (const item of this.#batch?.items ?? []) {
      item.step = step;
      this.#session.changed(item);
    }
  }
}

/**
 * Throw a Failure unless a receipt fits its request: it names each file once, and the case.
 * @param {import('../messages/messages.js').Receipt} receipt
 * @param {number} files
 * @param {string} caseNumber
 */
function check({ items, rejected, caseNumber: answered }, files, caseNumber) {
  const places = [...items, ...rejected].map(({ index }) => index);
  const isFitting =
    places.length === files &&
    places.every((place) => place < files) &&
    new Set(places).size === files &&
    (!items.length || answered === caseNumber);
  if (!isFitting) throw new Failure('INTERNAL', 0, true);
}
