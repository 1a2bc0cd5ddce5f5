/**
 * The receipt: what became of each file.
 *
 * @module
 */

import { AGE_BAND, ITEM_STATE, REGISTRATION_OUTCOME } from '../../messages/messages.js';
import { button, element, paragraph } from '../elements.js';
import { counted, text } from '../texts.js';
import { calling, showCase } from './calling.js';
import { keeping } from './number.js';
import {
  actions,
  dialable,
  fileLine,
  heading,
  isLive,
  itemMark,
  numberCard,
  refusal,
  warning,
} from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */

/** @param {Page} page */
export function receiptView(page) {
  const { session } = page;
  const registered = session.itemsAt('REGISTERED');
  const unknown = session.itemsAt('UNKNOWN');
  const live = registered.filter((item) => item.registered && isLive(item.registered.state)).length;
  const title = titleOf(session);
  const isOpened = session.hasCase || registered.length > 0 || unknown.length > 0;
  const isHelper = session.who === 'OTHER';
  const asking = calling(page);
  const see = async () => {
    const { access } = session;
    const answer = await asking.ask('GetCase', { access });
    if (answer) showCase(page, access, answer.case);
  };
  return [
    heading(page, text(title), 6),
    registered.length
      ? element(
          'p',
          { class: 'lead' },
          counted(live === registered.length ? 'receipt.live' : 'receipt.part', registered.length),
        )
      : null,
    isOpened ? [numberCard(page), keeping(page)] : paragraph(text('receipt.void')),
    unknown.length
      ? warning(text(session.hasCase ? 'receipt.unknown.known' : 'receipt.unknown.new'))
      : null,
    element(
      'ul',
      { class: 'files' },
      session.items.map((item) => receiptLine(page, item)),
    ),
    isOpened ? warning(text('number.lost')) : null,
    registered.length > 1 ? paragraph(text('receipt.marks')) : null,
    registered.length
      ? [
          paragraph(text(isHelper ? 'receipt.next.other' : 'receipt.next')),
          paragraph(text('receipt.delete')),
        ]
      : null,
    asking.part,
    actions(
      isOpened
        ? button(text(isHelper ? 'receipt.case.other' : 'receipt.case'), see, { class: 'primary' })
        : null,
      button(text('receipt.end'), () => page.restart(), { class: 'secondary' }),
    ),
  ];
}

/** @param {import('../session.js').Session} session */
function titleOf(session) {
  const isUnclear = session.itemsAt('UNKNOWN').length > 0;
  if (session.itemsAt('REGISTERED').length) {
    return isUnclear || session.itemsAt('READY').length ? 'receipt.title.part' : 'receipt.title';
  }
  return isUnclear ? 'receipt.title.unknown' : 'receipt.title.none';
}

/** @param {Page} page @param {Item} item */
function receiptLine(page, item) {
  if (item.step === 'UNKNOWN') return fileLine(page, item, text('receipt.item.unknown'), 'problem');
  if (!item.registered)
    return fileLine(
      page,
      item,
      item.cause ? refusal(item.cause) : text('receipt.item.left'),
      'problem',
    );
  const { itemId, outcome, state } = item.registered;
  const keys = [];
  if (outcome === REGISTRATION_OUTCOME.KEPT) keys.push('receipt.item.kept');
  if (outcome === REGISTRATION_OUTCOME.RENEWED) {
    const isAdult = page.session.ageBand === AGE_BAND.ADULT;
    keys.push('receipt.item.renewed', isAdult ? 'case.adult' : 'case.minor');
  }
  if (state === ITEM_STATE.WAITING) keys.push('state.waiting');
  if (state === ITEM_STATE.DISABLED) keys.push('state.disabled');
  const line = [
    text('receipt.item.mark', { mark: itemMark(itemId) }),
    keys.flatMap((key) => [' ', ...dialable(key)]),
  ];
  return fileLine(page, item, line, isLive(state) ? 'done' : 'problem');
}
