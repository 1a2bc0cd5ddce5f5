/**
 * What will be sent, and the sending.
 *
 * @module
 */

import { button, element, fill, paragraph } from '../elements.js';
import { counted } from '../texts.js';
import { text } from '../voice.js';
import {
  actions,
  backButton,
  fileLine,
  hashingText,
  heading,
  list,
  refusal,
  warning,
} from './parts.js';
import { failureText, waitingLine } from './waiting.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../sending.js').Sending} Sending */

/** @param {Page} page */
export function sendStep(page) {
  const { session, signal } = page;
  const { sending } = session;
  const waiting = waitingLine(signal);
  const title = text(sending.failure ? 'send.title.stopped' : 'send.title');
  const top = heading(page, title, session.case ? undefined : 5);
  const bar = element('progress', { max: 1, 'aria-label': text('send.title.going') });
  const stop = button(text('send.stop'), () => sending.stop());
  const sent = element('p', { role: 'status' });
  const going = element('div', {}, paragraph(text('send.going')), bar, sent, waiting.line, stop);
  const start = async () => {
    if (sending.isRunning) return;
    const run = sending.run();
    show();
    stop.focus();
    await run;
    after(page, sending);
  };
  const before = beforeSending(page, sending, start);
  // The step may be shown anew, in another language, while it is sent.
  sending.onWait = waiting.show;
  const update = () => {
    const answered = session.itemsAt('REGISTERED', 'REJECTED').length;
    const count = session.items.length - session.itemsAt('REFUSED').length;
    bar.value = answered / Math.max(1, count);
    fill(sent, sending.isRunning && text('send.progress', { answered, count }));
    if (!sending.isRunning) before.update();
  };
  session.addEventListener('item', update, { signal });
  const show = () => {
    going.hidden = !sending.isRunning;
    before.part.hidden = sending.isRunning;
    if (sending.isRunning) fill(/** @type {Element} */ (top[1]), text('send.title.going'));
  };
  show();
  update();
  return [top, before.part, going];
}

/**
 * Show what became of it.
 * @param {Page} page
 * @param {Sending} sending
 */
function after(page, sending) {
  // Its files were forgotten meanwhile.
  if (page.session.sending !== sending) return;
  page.goAfterHelp(sending.failure ? 'send' : 'receipt');
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
  const end = button(text('send.end'), () => page.go('receipt'));
  // A request of which no answer came is sent again as it was: nothing may change before.
  const isBegun = session.itemsAt('UNKNOWN', 'REGISTERED').length > 0;
  const contents = element('div');
  const hashing = element('p', { class: 'summary', role: 'status' });
  let shown = '';
  const update = () => {
    const steps = session.items.map(({ step }) => step).join();
    if (steps === shown) return;
    shown = steps;
    fill(contents, contentsOf(page));
    fill(hashing, session.isHashing ? hashingText(session) : '');
    const isReady = !session.isHashing && session.itemsAt('READY', 'UNKNOWN').length > 0;
    send.setAttribute('aria-disabled', String(!isReady));
  };
  const part = element(
    'div',
    {},
    sending.failure && failureOf(page, sending.failure),
    contents,
    hashing,
    actions(send, isBegun ? end : backButton(page, session.hasCase ? 'choose' : 'number')),
  );
  return { part, update };
}

/**
 * What goes, and what does not.
 * @param {Page} page
 */
function contentsOf(page) {
  const { session } = page;
  const files = session.itemsAt('READY', 'UNKNOWN').length;
  const age = session.ageBand === 'ADULT' ? 'send.age.adult' : 'send.age.minor';
  return [
    refusedOf(page),
    element('h2', {}, text('send.sent.title')),
    list('does', [
      counted('send.fingerprints', files),
      text(age),
      text(session.hasCase ? 'send.case.known' : 'send.case.new'),
    ]),
    knownOf(session),
    element('h2', {}, text('send.stays.title')),
    list('does-not', [text('send.stays.files'), text('send.stays.names'), text('send.stays.you')]),
  ];
}

/**
 * The files that the case has already under another age, and whether to change that.
 * @param {import('../session.js').Session} session
 */
function knownOf(session) {
  const { ageBand } = session;
  const known = session.itemsAt('READY').filter(({ age }) => age && age !== ageBand);
  if (!known.length || ageBand === 'UNSPECIFIED') return null;
  const change = element('input', { type: 'checkbox', checked: session.changesAges });
  change.addEventListener('change', () => {
    session.changesAges = change.checked;
  });
  return element(
    'div',
    { class: 'warning' },
    paragraph(counted('send.known', known.length)),
    element('label', {}, change, ' ', counted('send.known.change', known.length)),
  );
}

/**
 * What was sent and what was not, and why.
 * @param {Page} page
 * @param {import('../calling.js').Failure} failure
 */
function failureOf({ session }, failure) {
  const sent = session.itemsAt('REGISTERED').length;
  const unknown = session.itemsAt('UNKNOWN').length;
  const left = session.itemsAt('READY').length;
  return element(
    'div',
    { class: 'warning', role: 'alert' },
    paragraph(failureText(failure)),
    sent > 0 && paragraph(counted('send.failed.sent', sent)),
    unknown > 0 && paragraph(counted('send.failed.unknown', unknown)),
    left > 0 && paragraph(counted('send.failed.left', left)),
  );
}

/**
 * The files that are not registered, first of all: nobody is to believe that they are.
 * @param {Page} page
 */
function refusedOf(page) {
  const refused = page.session.itemsAt('REFUSED', 'REJECTED');
  if (!refused.length) return null;
  return [
    warning(counted('send.refused', refused.length)),
    element(
      'ul',
      { class: 'files' },
      refused.map((item) => fileLine(item, refusal(page, item.reason), 'problem')),
    ),
  ];
}
