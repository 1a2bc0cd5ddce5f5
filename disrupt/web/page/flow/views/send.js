/**
 * What will be sent, and the sending.
 *
 * @module
 */

import { AGE_BAND } from '../../messages/messages.js';
import { button, element, fill, paragraph } from '../elements.js';
import { counted, text } from '../texts.js';
import { errorText, waitingLine } from './calling.js';
import { actions, backButton, fileLine, heading, refusal } from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../sending.js').Sending} Sending */
/** @typedef {import('../session.js').Item} Item */

/** @param {Page} page */
export function sendView(page) {
  const { session, signal } = page;
  const { sending } = session;
  const waiting = waitingLine(signal);
  const bar = element('progress', { max: 1, 'aria-label': text('send.going') });
  const stop = button(text('send.stop'), () => sending.stop(), { class: 'secondary' });
  const going = element(
    'div',
    { class: 'going', hidden: true },
    paragraph(text('send.going')),
    bar,
    waiting.line,
    stop,
  );
  const send = async () => {
    if (sending.isRunning) return;
    const run = sending.run();
    before.part.hidden = true;
    going.hidden = false;
    stop.focus();
    await run;
    await after(page, sending);
  };
  const before = beforeSending(page, sending, send);
  // The step may be shown anew, in another language, while it is sent.
  sending.onWait = waiting.show;
  const update = () => {
    bar.value = shareSent(session);
    if (!sending.isRunning) before.update();
  };
  session.addEventListener('item', update, { signal });
  going.hidden = !sending.isRunning;
  before.part.hidden = sending.isRunning;
  update();
  return [heading(page, text('send.title'), 5), before.part, going];
}

/**
 * The share of the files to send that is answered.
 * @param {import('../session.js').Session} session
 */
function shareSent(session) {
  const answered = session.itemsAt('REGISTERED').length + session.itemsAt('REJECTED').length;
  const refused = session.itemsAt('REFUSED').length;
  return answered / Math.max(1, session.items.length - refused);
}

/**
 * Show what became of it.
 * @param {Page} page
 * @param {Sending} sending
 */
async function after(page, sending) {
  // Its files were forgotten meanwhile.
  if (page.session.sending !== sending) return;
  if (!sending.failure) page.goAfterHelp('receipt');
  else if (sending.failure.reason === 'REQUEST_ID_REUSED' && !page.session.hasCase) {
    sending.failure = undefined;
    await page.session.drawAnotherNumber();
    page.goAfterHelp('number', 'number.taken');
  } else page.goAfterHelp('send');
}

/**
 * What is shown before it is sent: `part`, and `update` for when a file changed. The buttons stay,
 * so that they can be pressed while files are hashed.
 * @param {Page} page
 * @param {Sending} sending
 * @param {() => unknown} start
 */
function beforeSending(page, sending, start) {
  const { session } = page;
  const label = text(sending.failure ? 'send.again' : 'send.send');
  const send = button(label, start, { class: 'primary' });
  const isUnclear = session.itemsAt('UNKNOWN').length > 0;
  const isBegun = session.itemsAt('REGISTERED').length > 0;
  const end = button(text('send.end'), () => page.go('receipt'), { class: 'secondary' });
  const contents = element('div');
  const hashing = element('p', { class: 'summary', role: 'status' });
  let shown = '';
  const update = () => {
    const steps = session.items.map(({ step }) => step).join();
    if (steps === shown) return;
    shown = steps;
    const ready = session.itemsAt('READY').length + session.itemsAt('UNKNOWN').length;
    fill(contents, contentsOf(page, ready));
    hashing.textContent = session.isHashing ? text('send.hashing') : '';
    send.setAttribute('aria-disabled', String(session.isHashing || !ready));
  };
  const part = element(
    'div',
    {},
    sending.failure ? failureOf(page, sending.failure) : null,
    rejectedOf(page),
    contents,
    hashing,
    // A request of which no answer came is sent again as it was: nothing may change before.
    actions(
      send,
      isUnclear || isBegun ? end : backButton(page, session.hasCase ? 'choose' : 'number'),
    ),
  );
  return { part, update };
}

/**
 * What goes, and what does not.
 * @param {Page} page
 * @param {number} ready
 */
function contentsOf({ session }, ready) {
  const fingerprints = session.items.flatMap(({ step, result }) =>
    (step === 'READY' || step === 'UNKNOWN') && result ? result.fingerprints : [],
  );
  const age = session.ageBand === AGE_BAND.ADULT ? 'send.age.adult' : 'send.age.minor';
  /** @param {string[]} lines */
  const list = (lines) =>
    element(
      'ul',
      {},
      lines.map((line) => element('li', {}, line)),
    );
  return element(
    'div',
    {},
    element('h2', {}, text('send.sent.title')),
    list([
      counted('send.fingerprints', ready),
      text(age),
      text(session.hasCase ? 'send.case.known' : 'send.case.new'),
    ]),
    element('h2', {}, text('send.stays.title')),
    list([text('send.stays.files'), text('send.stays.names'), text('send.stays.you')]),
    detailsOf(fingerprints),
  );
}

/**
 * The fingerprints themselves, for whoever wants to see them.
 * @param {import('../../messages/messages.js').Fingerprint[]} fingerprints
 */
function detailsOf(fingerprints) {
  if (!fingerprints.length) return null;
  const [{ hash }] = fingerprints;
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return element(
    'details',
    {},
    element('summary', {}, text('send.details')),
    paragraph(text('send.details.count', { count: fingerprints.length })),
    element('p', { class: 'hex', translate: 'no' }, hex),
  );
}

/**
 * What was sent and what was not, and why.
 * @param {Page} page
 * @param {import('../../messages/calls.js').CallError} failure
 */
function failureOf({ session }, failure) {
  const sent = session.itemsAt('REGISTERED').length;
  const unknown = session.itemsAt('UNKNOWN').length;
  const left = session.itemsAt('READY').length;
  const waitMinutes = Math.max(1, Math.ceil((failure.retryAfterMs ?? 0) / 60_000));
  return element(
    'div',
    { class: 'warning', role: 'alert' },
    paragraph(errorText(failure.reason, waitMinutes)),
    sent ? paragraph(counted('send.failed.sent', sent)) : null,
    unknown ? paragraph(counted('send.failed.unknown', unknown)) : null,
    left ? paragraph(counted('send.failed.left', left)) : null,
  );
}

/**
 * The files that the service refused.
 * @param {Page} page
 */
function rejectedOf(page) {
  const rejected = page.session.itemsAt('REJECTED');
  if (!rejected.length) return null;
  return element(
    'ul',
    { class: 'files' },
    rejected.map((item) => fileLine(page, item, refusal(item.cause), 'problem')),
  );
}
