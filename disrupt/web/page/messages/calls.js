/**
 * Call the service through the gateway, by Connect's unary calls. Each function tries once.
 *
 * Every call is safe to repeat: a registration has an id by which the service knows it again.
 *
 * @module
 */

import * as messages from './messages.js';
import { decode, encode } from './protobuf.js';

/** @typedef {import('./messages.js').Access} Access */
/** @typedef {import('./messages.js').Media} Media */
/** @typedef {import('./protobuf.js').Fields} Fields */
/** @typedef {{signal?: AbortSignal}} Options `signal` ends a call */

/**
 * A registration. `newCaseNumber` is of a new case, and access.caseNumber empty then.
 * @typedef {object} Registration
 * @property {Uint8Array} requestId 16 bytes; the same when it is sent again
 * @property {Access} access
 * @property {string} ageBand of AGE_BAND
 * @property {string} newCaseNumber
 * @property {string} [proofOfWork]
 * @property {string} [language] a tag of a language of the page
 * @property {Media[]} items
 */

/** @type {{[method: string]: [Fields, Fields]}} */
const METHODS = {
  RegisterHashes: [messages.RegisterHashesRequest, messages.RegisterHashesResponse],
  GetCase: [messages.GetCaseRequest, messages.GetCaseResponse],
  KeepCase: [messages.KeepCaseRequest, messages.KeepCaseResponse],
  GetChallenge: [messages.GetChallengeRequest, messages.GetChallengeResponse],
  WithdrawItems: [messages.WithdrawItemsRequest, messages.WithdrawResponse],
  WithdrawCase: [messages.WithdrawCaseRequest, messages.WithdrawResponse],
  GetReceipt: [messages.GetReceiptRequest, messages.GetReceiptResponse],
};

const SERVICE = '/disrupt.v1.RegistrationService';
const CONTENT_TYPE = 'application/proto';

/** Time for an answer, and more for a large body: 16 kB a second, over a bad mobile network. */
const TIMEOUT_MS = 60_000;
const TIMEOUT_MS_PER_BYTE = 1 / 16;

/** Wait where a proxy on the way is busy. */
const PROXY_BUSY_S = 5;

/** A call that failed, or was stopped. */
export class CallError extends Error {
  /**
   * @param {string} reason of docs/errors.md; UNAVAILABLE too if no answer came, or a proxy's;
   *   STOPPED by the signal
   * @param {number} [retryAfterS] when the service says to come back
   */
  constructor(reason, retryAfterS) {
    super(reason);
    this.reason = reason;
    this.retryAfterS = retryAfterS;
    /** Whether the device is offline: nothing was sent, unless the connection broke just now. */
    this.offline = !navigator.onLine;
  }
}

/**
 * Register media.
 * @param {Registration} registration
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').Receipt>}
 * @throws {CallError}
 */
export async function registerHashes({ items, ...context }, options) {
  const request = { context, items: items.map(messages.mediaItem) };
  return (await call('RegisterHashes', request, options)).receipt;
}

/**
 * Show a case.
 * @param {{access: Access}} request
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').Case>}
 * @throws {CallError} CASE_REFUSED for an unknown number and a wrong PIN alike
 */
export async function getCase(request, options) {
  return (await call('GetCase', request, options)).case;
}

/**
 * Keep a case that is about to be erased, as its PIN was said to be lost.
 * @param {{access: Access}} request
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').Case>}
 * @throws {CallError}
 */
export async function keepCase(request, options) {
  return (await call('KeepCase', request, options)).case;
}

/**
 * Ask for a challenge whose proof pays for earlier turns of so many pictures; empty if none is
 * needed.
 * @param {{pictures: number}} request
 * @param {Options} [options]
 * @returns {Promise<string>}
 * @throws {CallError}
 */
export async function getChallenge(request, options) {
  return (await call('GetChallenge', request, options)).challenge;
}

/**
 * Withdraw some items of a case, by their numbers in it.
 * @param {{access: Access, itemNumbers: number[]}} request
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').Withdrawal>}
 * @throws {CallError}
 */
export async function withdrawItems(request, options) {
  return call('WithdrawItems', request, options);
}

/**
 * Withdraw a whole case.
 * @param {{access: Access}} request
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').Withdrawal>}
 * @throws {CallError}
 */
export async function withdrawCase(request, options) {
  return call('WithdrawCase', request, options);
}

/**
 * Show the receipt of a withdrawal.
 * @param {{code: string}} request
 * @param {Options} [options]
 * @returns {Promise<import('./messages.js').WithdrawalReceipt>}
 * @throws {CallError} NOT_SIGNED_YET for up to an hour after the withdrawal
 */
export async function getReceipt(request, options) {
  return call('GetReceipt', request, options);
}

/**
 * @param {string} method
 * @param {object} message
 * @param {Options} [options]
 */
async function call(method, message, { signal } = {}) {
  const [request, response] = METHODS[method];
  const body = encode(request, message);
  const ended = new AbortController();
  const end = () => ended.abort();
  const timer = setTimeout(end, TIMEOUT_MS + body.length * TIMEOUT_MS_PER_BYTE);
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  try {
    const answer = await fetch(`${SERVICE}/${method}`, {
      method: 'POST',
      body,
      headers: { 'Content-Type': CONTENT_TYPE, 'Connect-Protocol-Version': '1' },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal: ended.signal,
    });
    if (!answer.ok || answer.headers.get('Content-Type') !== CONTENT_TYPE) throw await failure(answer);
    return decode(response, new Uint8Array(await answer.arrayBuffer()));
  } catch (error) {
    if (error instanceof CallError) throw error;
    if (signal?.aborted) throw new CallError('STOPPED');
    throw new CallError(ended.signal.aborted ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

/** @param {Response} answer that is no message: an error of the gateway, or of a proxy */
async function failure(answer) {
  if (!answer.headers.get('Content-Type')?.startsWith('application/json')) {
    if (answer.status === 429) return new CallError('OVERLOADED', PROXY_BUSY_S);
    // A proxy may also say so of a request that arrived, and whose answer was lost.
    return new CallError('UNAVAILABLE', answer.status === 503 ? PROXY_BUSY_S : undefined);
  }
  let reason = 'INTERNAL';
  let retryAfterS;
  for (const { type, value } of (await answer.json()).details ?? []) {
    const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
    if (type === 'google.rpc.ErrorInfo') reason = decode(messages.ErrorInfo, bytes).reason;
    if (type === 'google.rpc.RetryInfo') {
      const { seconds, nanos } = decode(messages.RetryInfo, bytes).retryDelay;
      retryAfterS = seconds + nanos / 1e9;
    }
  }
  return new CallError(reason, retryAfterS);
}
