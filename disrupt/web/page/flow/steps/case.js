/**
 * A case: open it, see where it stands, withdraw items or all.
 *
 * @module
 */

import { getCase, keepCase, withdrawCase, withdrawItems } from '../../messages/calls.js';
import { parseCaseNumber, parsePin } from '../../messages/cases.js';
import { button, element, fill, paragraph } from '../elements.js';
import { UNTYPED } from '../session.js';
import { counted, dayInWords, firstKey, operator } from '../texts.js';
import { text } from '../voice.js';
import { checkPart, codePart } from './erasure.js';
import { field, form } from './fields.js';
import {
  actions,
  contactLink,
  dialable,
  heading,
  helpLinks,
  itemName,
  list,
  partnerLinks,
  warning,
} from './parts.js';
import { asking, showCase } from './waiting.js';
import { whichPart } from './which.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../../messages/messages.js').Case} Case */
/** @typedef {import('../../messages/messages.js').CaseItem} CaseItem */

/** A second tap at the place of the first, also a slow one, withdraws nothing. */
const ARMED_AFTER_MS = 1500;

/** @type {{[status: string]: string}} what a status means, as keys of texts */
const MEANINGS = {
  RECEIVED: 'case.received',
  REJECTED: 'case.rejected',
  WITHDRAWN: 'case.is_withdrawn',
};

/** @type {{[state: string]: string}} what a reason to wait or a state means, as keys of texts */
const STATES = {
  LIMIT: 'case.turn',
  COMMON: 'case.common',
  WAITING: 'state.WAITING.means',
  OFF: 'state.OFF.means',
};

/** How items stand, as keys of texts: what is urgent first. */
const STANDINGS = ['case.left_up', 'case.off', 'case.waiting', 'case.live', 'case.unknown'];

/** @type {{[state: string]: string}} how an item stands that no platform leaves online */
const STANDING_OF = { OFF: 'case.off', WAITING: 'case.waiting', LIVE: 'case.live' };

/** @param {CaseItem} item */
function standing({ leftUpOn, state }) {
  return leftUpOn ? 'case.left_up' : (STANDING_OF[state] ?? 'case.unknown');
}

/**
 * Say how many items of an open case stand how.
 * @param {CaseItem[]} items
 */
function counts(items) {
  const lines = STANDINGS.map((key) => {
    const count = items.filter((item) => standing(item) === key).length;
    return count > 0 && counted(key, count);
  });
  return element('div', { class: 'lead' }, list('counts', lines.filter(Boolean)));
}

/** @param {Page} page */
export function openStep(page) {
  const { session } = page;
  const { part, ask, forget } = asking(page);
  const refused = element('p', { role: 'status' });
  const number = field('number.case', 'open-number', text('open.number.hint'), {
    autocapitalize: 'characters',
    value: session.typed.number,
  });
  const pin = field('number.pin', 'open-pin', text('open.pin.hint'), {
    inputmode: 'numeric',
    value: session.typed.pin,
  });
  // The step is shown anew in another language, and after the help.
  const keep = () => {
    const typed = { number: number.input.value, pin: pin.input.value };
    session.typed = { ...session.typed, ...typed };
  };
  /** @param {import('../page.js').Step} step */
  const leave = (step) => {
    session.typed = UNTYPED;
    page.go(step);
  };
  const open = async () => {
    const caseNumber = parseCaseNumber(number.input.value);
    const digits = parsePin(pin.input.value);
    forget();
    fill(refused);
    number.say(caseNumber ? '' : text('number.bad'));
    pin.say(digits ? '' : text('open.pin.bad'));
    if (!caseNumber || !digits) {
      (caseNumber ? pin : number).input.focus();
      return;
    }
    const access = { caseNumber, pin: digits };
    const opened = await ask((options) => getCase({ access }, options), { onFailure });
    if (opened) showCase(page, access, opened);
  };
  const onFailure = (/** @type {string} */ reason) => {
    if (reason !== 'CASE_REFUSED') return;
    fill(refused, text('open.refused'));
    number.input.focus();
  };
  const submit = button(text('open.open'), open, { class: 'primary' });
  return [
    heading(page, text('open.title')),
    paragraph(text('open.lead')),
    form(submit, keep, number, pin),
    part,
    refused,
    actions(
      submit,
      button(text('back'), () => leave('welcome'), { id: 'back', class: 'plain' }),
    ),
    element('h2', {}, text('open.lost.title')),
    paragraph(text('open.lost')),
    element('p', {}, text('open.lost.old'), ' ', operator.name && askOperator('open.lost.ask')),
    actions(button(text('open.again'), () => leave('who'))),
    checkPart(page),
  ];
}

/** @param {Page} page */
export function caseStep(page) {
  const { session } = page;
  const opened = /** @type {Case} */ (session.case);
  const { status, items, withdrawnNumbers, erasedOn } = opened;
  const isOpen = status === 'ACTIVE' || status === 'RECEIVED';
  const { part, ask } = asking(page);
  if (session.isCaseUnclear) void askAgain(page, ask);
  /** @param {CaseItem} [item] */
  const withdraw = (item) => {
    page.withdrawing = item;
    page.go('withdraw');
  };
  const keep = async () => {
    const { access } = session;
    const kept = await ask((options) => keepCase({ access }, options), { isChange: true });
    if (kept) showCase(page, access, kept, 'case.kept');
  };
  const add = () => {
    session.forgetItems();
    page.go('age');
  };
  /** @param {string} label @param {import('../elements.js').Child} value */
  const fact = (label, value) =>
    element('div', {}, element('dt', {}, label), element('dd', {}, value));
  return [
    heading(page, text('case.title')),
    part,
    erasedOn
      ? [
          warning(text('case.erased_on', { day: dayInWords(erasedOn) })),
          actions(button(text('case.keep'), keep, { class: 'primary' })),
        ]
      : status in MEANINGS && element('p', { class: 'lead' }, dialable(MEANINGS[status])),
    status === 'ACTIVE' && !erasedOn && items.length > 0 && counts(items),
    element(
      'dl',
      { class: 'facts' },
      fact(
        text('number.case'),
        element('bdi', { dir: 'ltr', translate: 'no' }, opened.caseNumber),
      ),
      fact(text('case.status'), text(firstKey(`status.${status}`, 'status.unknown'))),
      fact(text('case.opened'), dayInWords(opened.openedOn)),
      opened.closedOn && fact(text('case.closed'), dayInWords(opened.closedOn)),
    ),
    items.length > 0 &&
      element(
        'ul',
        { class: 'files' },
        urgentFirst(items).map((item) => caseItem(page, item, isOpen && withdraw)),
      ),
    items.some(({ ageBand }) => ageBand !== 'ADULT') && element('p', {}, dialable('help.minor')),
    items.length > 0 && whichPart(page),
    withdrawnNumbers.length > 0 &&
      paragraph(text('case.withdrawn', { numbers: withdrawnNumbers.join(', ') })),
    actions(
      isOpen && !erasedOn ? button(text('case.add'), add, { class: 'primary' }) : null,
      isOpen ? button(text('case.withdraw'), () => withdraw()) : null,
      button(text('receipt.end'), () => page.end()),
    ),
    session.receiptCode && codePart(page),
  ];
}

/** @param {CaseItem[]} items */
function urgentFirst(items) {
  const place = (/** @type {CaseItem} */ item) => STANDINGS.indexOf(standing(item));
  return [...items].sort((a, b) => place(a) - place(b) || a.number - b.number);
}

/**
 * Ask how the case stands after a change that was not answered; one that does not show yet may
 * still come.
 * @param {Page} page
 * @param {ReturnType<typeof asking>['ask']} ask
 */
async function askAgain(page, ask) {
  const { access, case: before } = page.session;
  const opened = await ask((options) => getCase({ access }, options));
  if (!opened) return;
  const isAsBefore =
    opened.status === before?.status &&
    opened.items.length === before.items.length &&
    opened.erasedOn === before.erasedOn;
  const isKept = before?.erasedOn && !opened.erasedOn;
  const changed = isKept ? 'case.kept' : 'case.changed';
  showCase(page, access, opened, isAsBefore ? 'case.unclear' : changed);
}

/**
 * @param {Page} page
 * @param {CaseItem} item
 * @param {false | ((item: CaseItem) => void)} withdraw
 */
function caseItem(page, item, withdraw) {
  const name = itemName(item.kind, item.number);
  const meaning = STATES[item.waitReason] ?? STATES[item.state];
  const label = [text('case.withdraw_item'), element('span', { class: 'visually-hidden' }, ` ${name}`)];
  return element(
    'li',
    {},
    element('p', { class: 'file-name' }, element('strong', {}, name), ' ', fileName(page, item)),
    element(
      'p',
      { class: 'file-state' },
      text('case.since', { day: dayInWords(item.registeredOn) }),
      ' ',
      text(item.ageBand === 'ADULT' ? 'case.adult' : 'case.minor'),
    ),
    item.leftUpOn && leftUp(item),
    meaning && element('p', {}, dialable(meaning)),
    item.state === 'OFF' && operator.name && element('p', {}, askOperator('case.ask_why')),
    item.blockedOn && paragraph(text('came.blocked', { day: dayInWords(item.blockedOn) })),
    withdraw &&
      element(
        'div',
        { class: 'file-actions' },
        button(label, () => withdraw(item), { class: 'plain' }),
      ),
  );
}

/**
 * What to do about a copy that a platform leaves online; for a minor's first who listens.
 * @param {CaseItem} item
 */
function leftUp({ leftUpOn, ageBand }) {
  const isAdult = ageBand === 'ADULT';
  return element(
    'div',
    { class: 'warning' },
    element('p', {}, dialable('came.left_up', { day: dayInWords(leftUpOn) })),
    isAdult ? null : element('p', {}, dialable('left_up.minor')),
    isAdult ? helpLinks('hotline', 'pharos', 3018) : helpLinks(3018, 'hotline', 'pharos'),
    paragraph(text('left_up.platform')),
    partnerLinks(),
  );
}

/**
 * A text that names who runs the page, with their address where there is one.
 * @param {string} key
 */
function askOperator(key) {
  return [text(key), ' ', contactLink(operator.name), '.'];
}

/**
 * The name of a file that was registered in this visit; the service knows none.
 * @param {Page} page
 * @param {CaseItem} item
 */
function fileName({ session }, { number }) {
  const here = session.items.find(({ registered }) => registered?.number === number);
  return here && element('span', { dir: 'auto', translate: 'no' }, here.file.name);
}

/** @param {Page} page */
export function withdrawStep(page) {
  const { withdrawing } = page;
  const { access, case: opened } = page.session;
  const { part, ask } = asking(page);
  const withdraw = async () => {
    const itemNumbers = withdrawing ? [withdrawing.number] : [];
    const answer = await ask(
      (options) =>
        withdrawing
          ? withdrawItems({ access, itemNumbers }, options)
          : withdrawCase({ access }, options),
      { isChange: true },
    );
    if (!answer) return;
    // Empty where an earlier attempt withdrew it, whose answer was lost.
    page.session.receiptCode = answer.receiptCode || page.session.receiptCode;
    const isWhole = answer.case.status === 'WITHDRAWN';
    showCase(page, access, answer.case, isWhole ? 'withdraw.done' : 'withdraw.done.item');
  };
  const confirm = button(text(withdrawing ? 'withdraw.item' : 'withdraw.all'), withdraw, {
    class: 'danger',
    'aria-disabled': 'true',
  });
  setTimeout(() => confirm.setAttribute('aria-disabled', 'false'), ARMED_AFTER_MS);
  const isLast = withdrawing && opened?.items.length === 1;
  const kind = withdrawing?.kind === 'VIDEO' ? 'withdraw.title.video' : 'withdraw.title.item';
  const title = withdrawing ? text(kind, { number: withdrawing.number }) : text('withdraw.title');
  const effect = withdrawing ? 'withdraw.effect.item' : 'withdraw.effect';
  return [
    heading(page, title),
    withdrawing && element('p', { class: 'lead' }, fileName(page, withdrawing)),
    isLast ? warning(text('withdraw.effect.last')) : paragraph(text(effect)),
    withdrawing && paragraph(text('withdraw.which')),
    paragraph(text('withdraw.erased')),
    paragraph(text('withdraw.again')),
    withdrawing && whichPart(page, withdrawing),
    part,
    actions(
      button(text('withdraw.cancel'), () => page.go('case'), { id: 'back', class: 'primary' }),
      confirm,
    ),
  ];
}
