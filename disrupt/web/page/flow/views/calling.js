/**
 * Ask the service from a step, and show that it waits, why, for how long, and what went wrong.
 *
 * @module
 */

import { call, CallError } from '../../messages/calls.js';
import { element, fill } from '../elements.js';
import { hasText, text } from '../texts.js';
import { dialable, warning } from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../../messages/messages.js').Case} Case */

/**
 * Make a line that counts the seconds of a wait down, until `signal` is aborted.
 * @param {AbortSignal} signal
 */
export function waitingLine(signal) {
  // The reason is read out once; the seconds, which change, are not.
  const reason = element('span', { role: 'status' });
  const seconds = element('span', { 'aria-hidden': 'true' });
  const line = element('p', { class: 'waiting', hidden: true }, reason, ' ', seconds);
  /** @type {import('../../messages/calls.js').Wait | undefined} */
  let current;
  const count = () => {
    if (!current) return;
    const left = Math.max(0, Math.ceil((current.untilMs - Date.now()) / 1000));
    seconds.textContent = text('wait.again', { seconds: left });
  };
  const timer = setInterval(count, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
  /** @param {import('../../messages/calls.js').Wait} [wait] */
  const show = (wait) => {
    current = wait;
    line.hidden = !wait;
    if (wait) {
      const key = `wait.${wait.reason}`;
      const why = text(hasText(key) ? key : 'wait.UNAVAILABLE');
      // A service that does not answer keeps no place.
      const isKept = wait.isPlaceKept && wait.reason !== 'UNAVAILABLE';
      reason.textContent = isKept ? `${why} ${text('wait.kept')}` : why;
      count();
    }
  };
  return { line, show };
}

/**
 * What an error means for the person.
 * @param {string} reason
 * @param {number} [minutes] to wait
 */
export function errorText(reason, minutes = 1) {
  const key = `error.${reason}`;
  return dialable(hasText(key) ? key : 'error.INTERNAL', { minutes });
}

/**
 * Ask the service, showing waits and errors in `part`; and that a call which was left before its
 * answer, or had none, may have changed the case.
 * @param {Page} page
 */
export function calling({ session, signal }) {
  const waiting = waitingLine(signal);
  const problem = element('div');
  const unclear = element('div');
  const showUnclear = () =>
    fill(unclear, session.isCaseUnclear ? warning(text('case.unclear')) : null);
  showUnclear();
  const alert = element('div', { role: 'alert' }, problem, unclear);
  const going = element('p', { class: 'summary', role: 'status' });
  const part = element('div', { class: 'calling' }, going, waiting.line, alert);
  /** @param {string} method @param {object} request @returns {Promise<{case: Case} | undefined>} */
  const ask = async (method, request) => {
    const isChange = method !== 'GetCase';
    fill(problem);
    going.textContent = text('calling');
    const wasUnclear = session.isCaseUnclear;
    // Until it is answered: the step may be left before.
    session.isCaseUnclear ||= isChange;
    try {
      const answer = await call(method, request, { signal, onWait: waiting.show });
      session.isCaseUnclear = false;
      return answer;
    } catch (error) {
      const failure = error instanceof CallError ? error : new CallError('INTERNAL');
      if (failure.reason === 'STOPPED') return undefined;
      session.isCaseUnclear = wasUnclear || (isChange && failure.isUnclear);
      showUnclear();
      fill(problem, warning(errorText(failure.reason)));
      return undefined;
    } finally {
      going.textContent = '';
      waiting.show();
    }
  };
  return { part, ask, forget: () => fill(problem) };
}

/**
 * Show a case that was opened.
 * @param {Page} page
 * @param {import('../../messages/messages.js').CaseAccess} access
 * @param {Case} opened
 * @param {string} [notice]
 */
export function showCase(page, access, opened, notice) {
  page.session.access = access;
  page.session.typed = { number: '', pin: '' };
  page.session.hasCase = true;
  page.session.case = opened;
  page.go('case', notice);
}
