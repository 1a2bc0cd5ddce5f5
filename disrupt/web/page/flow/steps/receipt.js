/**
 * The receipt: what became of each file, and what to do now.
 *
 * @module
 */

import { getCase } from '../../messages/calls.js';
import { button, element, paragraph } from '../elements.js';
import { counted, text } from '../texts.js';
import {
  actions,
  dialable,
  fileLine,
  heading,
  keeping,
  list,
  numberCard,
  refusal,
  warning,
} from './parts.js';
import { asking, showCase } from './waiting.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */

/** @param {Page} page */
export function receiptStep(page) {
  const { session } = page;
  const registered = session.itemsAt('REGISTERED').length;
  const unknown = session.itemsAt('UNKNOWN').length;
  const isOpened = session.hasCase || unknown > 0;
  const { part, ask } = asking(page);
  const see = async () => {
    const { access } = session;
    const opened = await ask((options) => getCase({ access }, options));
    if (opened) showCase(page, access, opened);
  };
  // What became of files without an answer is seen in the case.
  const seeing = button(text('receipt.case'), see, { class: unknown ? 'primary' : '' });
  const ending = button(text('receipt.end'), () => page.restart(), { class: unknown ? '' : 'primary' });
  return [
    heading(page, text(titleOf(session)), session.case ? undefined : 6),
    registered > 0 && element('p', { class: 'notice' }, counted('receipt.live', registered)),
    unknown > 0 &&
      warning(text(session.hasCase ? 'receipt.unknown.known' : 'receipt.unknown.new')),
    isOpened ? [numberCard(page), keeping(page)] : paragraph(text('receipt.void')),
    element(
      'ul',
      { class: 'files' },
      session.items.map((item) => receiptLine(page, item)),
    ),
    registered > 0 && [
      element('h2', {}, text('receipt.next.title')),
      list('', [
        text(session.isHelper ? 'receipt.keep.other' : 'receipt.keep'),
        registered > 1 && text('receipt.numbers'),
        dialable('receipt.online'),
      ].filter(Boolean)),
      session.ageBand === 'ADULT' ? null : paragraph(dialable('help.minor')),
    ],
    part,
    actions(
      unknown ? seeing : ending,
      unknown ? ending : isOpened && seeing,
    ),
  ];
}

/** @param {import('../session.js').Session} session */
function titleOf(session) {
  const isUnclear = session.itemsAt('UNKNOWN').length > 0;
  if (session.itemsAt('REGISTERED').length) {
    const isPart = isUnclear || session.itemsAt('READY').length > 0;
    return isPart ? 'receipt.title.part' : 'receipt.title';
  }
  return isUnclear ? 'receipt.title.unknown' : 'receipt.title.none';
}

/** @param {Page} page @param {Item} item */
function receiptLine(page, item) {
  const { reason, registered, step } = item;
  if (step === 'UNKNOWN') return fileLine(page, item, text('receipt.item.unknown'), 'problem');
  if (!registered) {
    const why = reason ? refusal(reason) : text('receipt.item.left');
    return fileLine(page, item, why, 'problem');
  }
  const { number, outcome } = registered;
  const line = [text('receipt.item.number', { number })];
  if (outcome === 'KEPT') line.push(' ', text('receipt.item.kept'));
  if (outcome === 'RENEWED') line.push(' ', text('receipt.item.renewed'));
  return fileLine(page, item, line, 'done');
}
