/**
 * Ask the service from a step, and show that it waits, why, for how long, and what went wrong.
 *
 * @module
 */

import { Failure, patiently } from '../calling.js';
import { element, fill } from '../elements.js';
import { UNTYPED } from '../session.js';
import { firstKey } from '../texts.js';
import { text } from '../voice.js';
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
  const line = element('p', { class: 'waiting' }, reason, ' ', seconds);
  /** @type {import('../calling.js').Wait | undefined} */
  let current;
  const count = () => {
    const left = Math.ceil(((current?.untilMs ?? 0) - Date.now()) / 1000);
    fill(seconds, current && left > 0 ? text('wait.again', { seconds: left }) : '');
  };
  const timer = setInterval(count, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
  /** @param {import('../calling.js').Wait} [wait] */
  const show = (wait) => {
    // While the next attempt is under way the reason stays: it may well fail as the last one.
    if (wait) fill(reason, text(firstKey(`wait.${wait.reason}`, 'wait.UNAVAILABLE')));
    current = wait;
    count();
  };
  const clear = () => {
    show();
    fill(reason, '');
  };
  return { line, show, clear };
}

/**
 * What ended a call, in words.
 * @param {Failure} failure
 * @param {string} [about] key of the texts that take the place of the general ones
 */
export function failureText({ reason, minutes }, about = 'error') {
  const key = firstKey(`${about}.${reason}`, `error.${reason}`, 'error.INTERNAL');
  return dialable(key, { minutes });
}

/**
 * Ask the service, showing waits and errors in `part`; and that a call which was left before its
 * answer, or had none, may have changed the case.
 * @param {Page} page
 */
export function asking({ session, signal }) {
  const waiting = waitingLine(signal);
  const problem = element('div', { role: 'alert' });
  const going = element('p', { role: 'status' });
  const part = element('div', {}, going, waiting.line, problem);
  /** @param {Failure} [failure] @param {string} [about] */
  const show = (failure, about) =>
    fill(
      problem,
      failure && warning(failureText(failure, about)),
      session.isCaseUnclear && warning(text('case.unclear')),
    );
  show();
  /**
   * @template Answer
   * @param {(options: {signal?: AbortSignal}) => Promise<Answer>} attempt
   * @param {object} [options]
   * @param {boolean} [options.isChange] whether the call changes the case
   * @param {string} [options.about] as that of failureText
   * @param {(reason: string) => void} [options.onFailure] called when the step shows why it failed
   * @returns {Promise<Answer | undefined>}
   */
  const ask = async (attempt, { isChange = false, about, onFailure = () => {} } = {}) => {
    fill(going, text('calling'));
    fill(problem);
    const wasUnclear = session.isCaseUnclear;
    // Until it is answered: the step may be left before.
    session.isCaseUnclear ||= isChange;
    try {
      const answer = await patiently(attempt, { signal, onWait: waiting.show });
      session.isCaseUnclear = false;
      return answer;
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure('INTERNAL', 0, true);
      if (signal.aborted) return undefined;
      session.isCaseUnclear = wasUnclear || (isChange && failure.isUnclear);
      show(failure, about);
      onFailure(failure.reason);
      return undefined;
    } finally {
      fill(going, '');
      waiting.clear();
    }
  };
  return { part, ask, forget: () => fill(problem) };
}

/**
 * Show a case that was opened.
 * @param {Page} page
 * @param {import('../../messages/messages.js').Access} access
 * @param {Case} opened
 * @param {string} [notice]
 */
export function showCase(page, access, opened, notice) {
  page.session.access = access;
  page.session.typed = UNTYPED;
  page.session.hasCase = true;
  page.session.case = opened;
  page.go('case', notice);
}
