/**
 * Ask the service again and again until it answers, and say why that takes time.
 *
 * @module
 */

import { CallError } from '../messages/calls.js';

/** @typedef {{reason: string, untilMs: number}} Wait why a call waits, and until when (Date.now) */
/**
 * @typedef {object} Options
 * @property {AbortSignal} [signal]
 * @property {(wait?: Wait) => void} [onWait] called when a wait begins, and without one at its end
 * @property {string[]} [refusals] further reasons of refusals
 * @property {boolean} [mayBeLess] whether to fail where the service is busy: less may be asked then
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Longer waits are not sat out: the person is told when to come back. */
const LONGEST_WAIT_MS = 600_000;
/** Added to the wait of a PIN, so that it does not come before its turn. */
const AFTER_ITS_TURN_MS = 500;

/** Reasons after which a call is tried again, as often as the person waits. */
const TRIED_AGAIN = new Set([
  'DEADLINE_EXCEEDED',
  'OVERLOADED',
  'REGISTRY_REPLACED',
  'SNAPSHOT_REFUSED',
  'TOO_MANY_ATTEMPTS',
  'UNAVAILABLE',
]);

/** Reasons of refusals: the call changed nothing. */
const CHANGED_NOTHING = new Set([
  'CASE_CLOSED',
  'CASE_ERASING',
  'CASE_REFUSED',
  'INVALID_REQUEST',
  'KEY_REFUSED',
  'LIMIT_EXCEEDED',
  'NOT_FOUND',
  'OVERLOADED',
  'RIGHT_MISSING',
  'TOO_MANY_ATTEMPTS',
  'UNIMPLEMENTED',
]);

/** What ended the attempts; `isUnclear`: the call may have taken effect all the same. */
export class Failure extends Error {
  /** @param {string} reason @param {number} retryAfterS @param {boolean} isUnclear */
  constructor(reason, retryAfterS, isUnclear) {
    super(reason);
    this.reason = reason;
    this.minutes = Math.max(1, Math.ceil(retryAfterS / 60));
    this.isUnclear = isUnclear;
  }
}

/**
 * Call until there is an answer, a refusal, or `signal` ends it. Every call is safe to repeat.
 * @template Answer
 * @param {(options: {signal?: AbortSignal}) => Promise<Answer>} attempt
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 * @throws {Failure}
 */
export async function patiently(
  attempt,
  { signal, onWait = () => {}, refusals = [], mayBeLess = false } = {},
) {
  let isUnclear = false;
  for (let failed = 0; ; failed++) {
    let reason = 'OFFLINE';
    let pauseMs = LONGEST_PAUSE_MS;
    // A browser may be wrong about being offline: the second attempt is made all the same.
    if (navigator.onLine || failed) {
      try {
        return await attempt({ signal });
      } catch (error) {
        const { retryAfterS = 0, offline = false, ...failure } =
          error instanceof CallError ? error : new CallError('INTERNAL');
        isUnclear ||= !CHANGED_NOTHING.has(failure.reason) && !refusals.includes(failure.reason);
        pauseMs = pauseAfter(failure.reason, retryAfterS * 1000, failed);
        const isLess = mayBeLess && !isUnclear && failure.reason === 'OVERLOADED';
        if (!TRIED_AGAIN.has(failure.reason) || pauseMs > LONGEST_WAIT_MS || isLess)
          throw new Failure(failure.reason, retryAfterS, isUnclear);
        reason = offline ? 'OFFLINE' : failure.reason;
      }
    }
    onWait({ reason, untilMs: Date.now() + pauseMs });
    await pause(pauseMs, signal);
    onWait();
    if (signal?.aborted) throw new Failure('STOPPED', 0, isUnclear);
  }
}

/**
 * @param {string} reason
 * @param {number} askedMs
 * @param {number} failed
 */
function pauseAfter(reason, askedMs, failed) {
  if (reason === 'TOO_MANY_ATTEMPTS') return askedMs + AFTER_ITS_TURN_MS;
  const backoffMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failed, 10));
  return askedMs + backoffMs * (1 - Math.random() / 2);
}

/**
 * Wait; less if `signal` ends it, or once the device is online again.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const ended = new AbortController();
    const end = () => {
      clearTimeout(timer);
      ended.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { signal: ended.signal });
    addEventListener('online', end, { signal: ended.signal });
    if (signal?.aborted) end();
  });
}
