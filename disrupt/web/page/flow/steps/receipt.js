/**
 * The receipt: what became of each file, and what to do now.
 *
 * @module
 */

import { getCase } from '../../messages/calls.js';
import { button, element, paragraph } from '../elements.js';
import { counted } from '../texts.js';
import { text } from '../voice.js';
import {
  actions,
  dialable,
  fileLine,
  heading,
  helpLinks,
  keeping,
  list,
  numberCard,
  ofMinors,
  partnerLinks,
  refusal,
  warning,
} from './parts.js';
import { asking, showCase } from './waiting.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */

/** @param {Page} page */
export function receiptStep(page) {
  const { session } = page;
  const answers = session.itemsAt('REGISTERED').map(({ registered }) => registered);
  const registered = answers.length;
  // Also a picture that the case had before may wait, or be switched off.
  const [live, waiting, off] = ['LIVE', 'WAITING', 'OFF'].map(
    (state) => answers.filter((answer) => answer?.state === state).length,
  );
  const turns = answers.filter((answer) => answer?.waitReason === 'LIMIT').length;
  const unknown = session.itemsAt('UNKNOWN').length;
  const failed = session.itemsAt('REFUSED', 'REJECTED', 'READY');
  const others = session.items.filter((item) => !failed.includes(item));
  const isOpened = session.hasCase || unknown > 0;
  const { part, ask } = asking(page);
  const see = async () => {
    const { access } = session;
    const opened = await ask((options) => getCase({ access }, options));
    if (opened) showCase(page, access, opened);
  };
  // What became of files without an answer is seen in the case.
  const seeing = button(text('receipt.case'), see, { class: unknown ? 'primary' : '' });
  const ending = button(text('receipt.end'), () => page.end(), { class: unknown ? '' : 'primary' });
  return [
    heading(page, text(titleOf(session)), session.case ? undefined : 6),
    failed.length > 0 && warning(counted('receipt.failed', failed.length)),
    live > 0 && element('p', { class: 'notice' }, counted('receipt.live', live)),
    turns > 0 && element('p', { class: 'notice' }, counted('receipt.turns', turns)),
    waiting > turns &&
      element('p', { class: 'notice' }, counted('receipt.waits', waiting - turns)),
    off > 0 && warning(counted('receipt.off', off)),
    unknown > 0 &&
      warning(text(session.hasCase ? 'receipt.unknown.known' : 'receipt.unknown.new')),
    isOpened ? [numberCard(page), keeping(page)] : paragraph(text('receipt.void')),
    element(
      'ul',
      { class: 'files' },
      [...failed, ...others].map((item) => receiptLine(page, item)),
    ),
    registered > 0 && [
      ofMinors(page),
      session.ageBand === 'UNSPECIFIED' && !session.isHelper && paragraph(dialable('help.minor')),
      element('h2', {}, text('receipt.next.title')),
      list('', [
        text('receipt.keep'),
        registered > 1 && text('receipt.numbers'),
        dialable('receipt.online'),
      ].filter(Boolean)),
      partnerLinks(),
      paragraph(text('receipt.others')),
      session.ageBand === 'ADULT'
        ? helpLinks('hotline', 'pharos', 'stopncii')
        : helpLinks('hotline', 'takeitdown'),
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
    const isWhole = session.items.every(({ step }) => step === 'REGISTERED');
    return isWhole ? 'receipt.title' : 'receipt.title.part';
  }
  return isUnclear ? 'receipt.title.unknown' : 'receipt.title.none';
}

/** @param {Page} page @param {Item} item */
function receiptLine(page, item) {
  const { session } = page;
  const { reason, registered, step } = item;
  if (step === 'UNKNOWN') return fileLine(item, text('receipt.item.unknown'), 'problem');
  if (!registered) {
    const why = reason ? refusal(page, reason) : text('receipt.item.left');
    return fileLine(item, why, 'problem');
  }
  const { outcome, state } = registered;
  const isAgeChanged = item.age && session.changesAges && item.age !== session.ageBand;
  /** @type {(string | Node)[]} */
  const line = [text('receipt.item.done')];
  if (outcome === 'KEPT') line.push(' ', text('receipt.item.kept'));
  if (outcome === 'RENEWED')
    line.push(' ', text(isAgeChanged ? 'receipt.item.aged' : 'receipt.item.renewed'));
  if (state !== 'OFF') return fileLine(item, line, 'done');
  return fileLine(item, [...line, ' ', ...dialable('state.OFF.means')], 'problem');
}
