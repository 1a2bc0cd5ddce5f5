/**
 * Register the hashed files, in requests of a few, into one case.
 *
 * @module
 */

import { call, CallError } from '../messages/calls.js';
import { newRequestId, parseCaseNumber } from '../messages/cases.js';
import { mediaItem } from '../messages/messages.js';

/** Most files in one request, as the command line sends them. */
const ITEMS_PER_REQUEST = 8;
/** Most fingerprints in one request, unless one file has more: the server keeps its place then. */
const FINGERPRINTS_PER_REQUEST = 300;
const ITEM_ID_BYTES = 16;

/** @typedef {import('./session.js').Item} Item */

/**
 * Sends the files of a session. It may be stopped, and goes on where it was: a request of which no
 * answer came is sent again as it was, under its id, and so registers nothing twice.
 */
export class Sending {
  /**
   * Told when a request waits for its next attempt.
   * @type {(wait?: import('../messages/calls.js').Wait) => void}
   */
  onWait = () => {};
  /**
   * The error that ended the last run.
   * @type {CallError | undefined}
   */
  failure;
  #session;
  /**
   * The files of the request of which no answer came yet.
   * @type {Item[]}
   */
  #batch = [];
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
      while (this.#next().length) await this.#sendBatch(this.#stopping.signal);
    } catch (error) {
      this.failure = error instanceof CallError ? error : new CallError('INTERNAL');
      this.#settle(this.failure.isUnclear ? 'UNKNOWN' : 'READY');
      if (!this.failure.isUnclear) this.#batch = [];
    } finally {
      this.#stopping = undefined;
    }
  }

  #next() {
    if (!this.#batch.length) this.#batch = firstOf(this.#session.itemsAt('READY'));
    return this.#batch;
  }

  /** @param {AbortSignal} signal */
  async #sendBatch(signal) {
    const session = this.#session;
    this.#settle('SENDING');
    const response = await call('RegisterHashes', this.#request(), {
      signal,
      onWait: (wait) => this.onWait(wait),
    });
    const receipt = checked(response.receipt, this.#batch.length, session.access.caseNumber);
    for (const registered of receipt.items) {
      const item = this.#batch[registered.index];
      item.registered = registered;
      item.step = 'REGISTERED';
    }
    for (const { index, lowQuality } of receipt.rejected) {
      const item = this.#batch[index];
      item.cause =
        lowQuality && lowQuality.quality >= lowQuality.minimumQuality
          ? 'TOO_REGULAR'
          : 'FEATURELESS';
      item.step = 'REJECTED';
    }
    this.#batch.forEach((item) => session.changed(item));
    this.#batch = [];
    // A request that registered nothing has not used its id up, and opened no case.
    if (receipt.items.length) {
      session.hasCase = true;
      session.requestId = newRequestId();
    }
  }

  #request() {
    const { access, ageBand, hasCase, requestId } = this.#session;
    return {
      context: {
        requestId,
        access: hasCase ? access : { pin: access.pin },
        ageBand,
        newCaseNumber: hasCase ? '' : access.caseNumber,
      },
      items: this.#batch.map(({ result }) => result && mediaItem(result.kind, result.fingerprints)),
    };
  }

  /** @param {import('./session.js').Step} step */
  #settle(step) {
    for (const item of this.#batch) {
      item.step = step;
      this.#session.changed(item);
    }
  }
}

/**
 * Return the files of the next request.
 * @param {Item[]} items
 */
function firstOf(items) {
  let fingerprints = 0;
  const end = items.findIndex(({ result }, place) => {
    fingerprints += result?.fingerprints.length ?? 0;
    return place === ITEMS_PER_REQUEST || (place > 0 && fingerprints > FINGERPRINTS_PER_REQUEST);
  });
  return end < 0 ? items : items.slice(0, end);
}

/**
 * Return a receipt. Throws a CallError unless it fits its request: it names each file once, with
 * item ids, and the case.
 * @param {import('../messages/messages.js').Receipt | undefined} receipt
 * @param {number} files
 * @param {string} caseNumber
 */
function checked(receipt, files, caseNumber) {
  const places = [...(receipt?.items ?? []), ...(receipt?.rejected ?? [])].map(
    ({ index }) => index,
  );
  const isFitting =
    receipt !== undefined &&
    places.sort((one, other) => one - other).every((index, place) => index === place) &&
    places.length === files &&
    receipt.items.every(({ itemId }) => itemId.length === ITEM_ID_BYTES) &&
    (receipt.items.length === 0 || parseCaseNumber(receipt.caseNumber) === caseNumber);
  if (!isFitting) throw Object.assign(new CallError('INTERNAL'), { isUnclear: true });
  return receipt;
}
