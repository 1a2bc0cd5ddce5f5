/**
 * Call the service through the gateway, again and again until there is an answer.
 *
 * Every call is safe to repeat: a registration has an id by which the server knows it again.
 *
 * @module
 */

import {
  CaseRequest,
  CaseResponse,
  ErrorInfo,
  RegisterHashesRequest,
  RegisterHashesResponse,
  RetryInfo,
  Status,
  WithdrawItemsRequest,
} from './messages.js';
import { decode, encode } from './protobuf.js';

/** @typedef {import('./protobuf.js').Fields} Fields */

const CONTENT_TYPE = 'application/x-protobuf';
const TICKET = 'Waiting-Ticket';
/** Time for an answer, more than the gateway takes for a body, a turn and the server's answer. */
const TIMEOUT_MS = 60_000;
/** Added for a large body over a bad mobile network: 64 kB a second, less than the gateway asks. */
const TIMEOUT_MS_PER_BYTE = 1 / 64;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Longer waits are not sat out: the person is told when to come back. */
const LONGEST_WAIT_MS = 600_000;
/** Added to the wait of a throttled call, so that it does not come too early. */
const AFTER_ITS_TURN_MS = 500;
/** Wait where a proxy on the way is busy, which does not say for how long: as the gateway says. */
const PROXY_BUSY_MS = 5000;
/** A message that arrives changed so often is changed by something on the way. */
const MOST_CHANGED = 3;

/**
 * @type {{[method: string]: {request: Fields, response: Fields}}}
 */
const METHODS = {
  RegisterHashes: { request: RegisterHashesRequest, response: RegisterHashesResponse },
  GetCase: { request: CaseRequest, response: CaseResponse },
  WithdrawItems: { request: WithdrawItemsRequest, response: CaseResponse },
  WithdrawCase: { request: CaseRequest, response: CaseResponse },
  KeepCase: { request: CaseRequest, response: CaseResponse },
};

/** Reasons after which a call is tried again. */
const TRIED_AGAIN = new Set([
  'CHANGED',
  'DEADLINE_EXCEEDED',
  'DIGEST_MISMATCH',
  'OFFLINE',
  'OVERLOADED',
  'QUOTA_EXCEEDED',
  'SNAPSHOT_REFUSED',
  'TOO_MANY_ATTEMPTS',
  'UNAVAILABLE',
  'UNREACHABLE',
]);

/** Reasons of refusals: the call changed nothing. */
const CHANGED_NOTHING = new Set([
  'CASE_CLOSED',
  'CASE_REFUSED',
  'CERTIFICATE_REFUSED',
  'DIGEST_MISMATCH',
  'ERASURE_PENDING',
  'INVALID_REQUEST',
  'KEY_REFUSED',
  'LIMIT_EXCEEDED',
  'NOT_FOUND',
  'OFFLINE',
  'OVERLOADED',
  'QUOTA_EXCEEDED',
  'REQUEST_ID_REUSED',
  'RIGHT_MISSING',
  'TOO_MANY_ATTEMPTS',
  'UNIMPLEMENTED',
]);

/** A call that failed, or was stopped. */
export class CallError extends Error {
  /**
   * @param {string} reason of docs/errors.md; or OFFLINE, UNREACHABLE, CHANGED on the way, STOPPED
   * @param {number} [retryAfterMs] when the server says to come back
   * @param {string} [ticket] keeps one's place while the service is busy
   */
  constructor(reason, retryAfterMs, ticket) {
    super(reason);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.ticket = ticket;
    /** Whether the call may have taken effect all the same. */
    this.isUnclear = false;
  }
}

/**
 * What a person is told while a call waits; `isPlaceKept`: a ticket keeps the place in the queue.
 * @typedef {{reason: string, untilMs: number, isPlaceKept: boolean}} Wait
 */

/**
 * Call until there is an answer, a refusal, or `signal` stops it.
 * @param {string} method one of METHODS
 * @param {object} request
 * @param {{signal?: AbortSignal, onWait?: (wait?: Wait) => void}} [options] `onWait` is called when
 *   a wait begins, and with nothing when it ends
 * @returns {Promise<any>} the response
 * @throws {CallError}
 */
export async function call(method, request, { signal, onWait = () => {} } = {}) {
  const body = encode(METHODS[method].request, request);
  let ticket = '';
  let isUnclear = false;
  let changed = 0;
  for (let failed = 0; ; failed++) {
    try {
      return await attempt(method, body, ticket, signal);
    } catch (error) {
      const failure = error instanceof CallError ? error : new CallError('INTERNAL');
      isUnclear ||= !changedNothing(failure.reason, method);
      failure.isUnclear = isUnclear;
      changed += Number(isChanged(failure));
      const pauseMs = pauseAfter(failure, failed);
      if (!TRIED_AGAIN.has(failure.reason) || changed >= MOST_CHANGED || pauseMs > LONGEST_WAIT_MS)
        throw failure;
      ticket = failure.ticket || ticket;
      const isPlaceKept = Boolean(failure.ticket);
      onWait({ reason: failure.reason, untilMs: Date.now() + pauseMs, isPlaceKept });
      await pause(pauseMs, failure.reason === 'OFFLINE', signal);
      onWait();
      if (signal?.aborted) throw Object.assign(new CallError('STOPPED'), { isUnclear });
    }
  }
}

/** @param {string} reason @param {string} method */
function changedNothing(reason, method) {
  return CHANGED_NOTHING.has(reason) || (reason === 'STORAGE_FULL' && method === 'RegisterHashes');
}

/** @param {CallError} failure */
function isChanged({ reason }) {
  return reason === 'CHANGED' || reason === 'DIGEST_MISMATCH';
}

/**
 * Send a request once.
 * @param {string} method
 * @param {Uint8Array<ArrayBuffer>} body
 * @param {string} ticket
 * @param {AbortSignal} [signal]
 */
async function attempt(method, body, ticket, signal) {
  if (!navigator.onLine) throw new CallError('OFFLINE');
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), TIMEOUT_MS + body.length * TIMEOUT_MS_PER_BYTE);
  const stop = () => timeout.abort();
  signal?.addEventListener('abort', stop);
  try {
    const response = await fetch(`/v1/${method}`, {
      method: 'POST',
      body,
      headers: {
        'Content-Type': CONTENT_TYPE,
        'Content-Digest': await digest(body),
        ...(ticket ? { [TICKET]: ticket } : {}),
      },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal: timeout.signal,
    });
    return await answer(method, response);
  } catch (error) {
    if (error instanceof CallError) throw error;
    if (signal?.aborted) throw new CallError('STOPPED');
    throw new CallError(timeout.signal.aborted ? 'DEADLINE_EXCEEDED' : 'UNREACHABLE');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

/** @param {string} method @param {Response} response */
async function answer(method, response) {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get('Content-Type') ?? '';
  if (!type.startsWith(CONTENT_TYPE)) throw failureOnTheWay(response);
  if (response.headers.get('Content-Digest') !== (await digest(bytes)))
    throw new CallError('CHANGED');
  try {
    if (response.ok) return decode(METHODS[method].response, bytes);
    throw failure(decode(Status, bytes), response.headers.get(TICKET) ?? '');
  } catch (error) {
    throw error instanceof RangeError ? new CallError('CHANGED') : error;
  }
}

/**
 * What it means that a proxy on the way answers in its own words, or as if it were the page.
 * @param {Response} response
 */
function failureOnTheWay({ ok, status }) {
  if (ok) return new CallError('CHANGED');
  if (status === 429) return new CallError('OVERLOADED', PROXY_BUSY_MS);
  return new CallError('UNAVAILABLE', status === 503 ? PROXY_BUSY_MS : undefined);
}

/** @param {import('./messages.js').Status} status @param {string} ticket */
function failure(status, ticket) {
  let reason = 'INTERNAL';
  let retryAfterMs;
  for (const { typeUrl, value } of status.details) {
    if (typeUrl.endsWith('/google.rpc.ErrorInfo')) reason = decode(ErrorInfo, value).reason;
    if (typeUrl.endsWith('/google.rpc.RetryInfo')) {
      const { seconds = 0, nanos = 0 } = decode(RetryInfo, value).retryDelay ?? {};
      retryAfterMs = seconds * 1000 + nanos / 1e6;
    }
  }
  return new CallError(reason, retryAfterMs, ticket);
}

/**
 * Return the RFC 9530 field of a body.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function digest(bytes) {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `sha-256=:${btoa(String.fromCharCode(...sum))}:`;
}

/**
 * Return the pause before the next attempt, in ms.
 * @param {CallError} failure
 * @param {number} failed
 */
function pauseAfter({ reason, retryAfterMs = 0 }, failed) {
  if (reason === 'TOO_MANY_ATTEMPTS') return retryAfterMs + AFTER_ITS_TURN_MS;
  const backoffMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failed, 10));
  return retryAfterMs + backoffMs * (1 - Math.random() / 2);
}

/**
 * Wait; less if `signal` stops it or, for a device that is offline, once it is online again.
 * @param {number} ms
 * @param {boolean} isOffline
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function pause(ms, isOffline, signal) {
  return new Promise((resolve) => {
    const ended = new AbortController();
    const end = () => {
      clearTimeout(timer);
      ended.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { signal: ended.signal });
    if (isOffline) addEventListener('online', end, { signal: ended.signal });
  });
}
