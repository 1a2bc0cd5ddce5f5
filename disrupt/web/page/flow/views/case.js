/**
 * A case: open it, see where it stands, withdraw items or all, keep it.
 *
 * @module
 */

import { parseCaseNumber, parsePin } from '../../messages/cases.js';
import {
  AGE_BAND,
  CASE_STATUS,
  ITEM_OUTCOME,
  ITEM_STATE,
  MEDIA_KIND,
} from '../../messages/messages.js';
import { button, element, paragraph } from '../elements.js';
import { dayInWords, text } from '../texts.js';
import { calling, showCase } from './calling.js';
import { actions, backButton, dialable, heading, isLive, itemMark, warning } from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../../messages/messages.js').Case} Case */
/** @typedef {import('../../messages/messages.js').CaseItem} CaseItem */

/** @type {{[status: number]: string}} */
const STATUS_KEYS = {
  [CASE_STATUS.RECEIVED]: 'status.received',
  [CASE_STATUS.ACTIVE]: 'status.active',
  [CASE_STATUS.WITHDRAWN]: 'status.withdrawn',
  [CASE_STATUS.REJECTED]: 'status.rejected',
};

/**
 * Where the form of number and PIN leads, which is never sent. For any other form Chromium asks a
 * server of Google what its fields mean, and so says who has opened a case.
 */
const SEARCH = '/search';

/** @param {Page} page */
export function openView(page) {
  const { session } = page;
  const asking = calling(page);
  const number = field('open.number', 'open-number', {
    autocapitalize: 'characters',
    value: session.typed.number,
  });
  const pin = field('open.pin', 'open-pin', { inputmode: 'numeric', value: session.typed.pin });
  // The step is shown anew in another language, and after the help.
  const keep = () => {
    session.typed = { number: number.input.value, pin: pin.input.value };
  };
  const back = () => {
    session.typed = { number: '', pin: '' };
    page.go('welcome');
  };
  const open = async () => {
    const caseNumber = parseCaseNumber(number.input.value);
    const digits = parsePin(pin.input.value);
    asking.forget();
    number.say(caseNumber ? '' : text('open.number.bad'));
    pin.say(digits ? '' : text('open.pin.bad'));
    if (!caseNumber || !digits) {
      (caseNumber ? pin : number).input.focus();
      return;
    }
    const opens = { caseNumber, pin: digits };
    const answer = await asking.ask('GetCase', { access: opens });
    if (!answer) return;
    showCase(page, opens, answer.case);
  };
  const submit = button(text('open.open'), open, { class: 'primary' });
  const enter = (/** @type {KeyboardEvent} */ event) => event.key === 'Enter' && submit.click();
  return [
    heading(page, text('open.title')),
    paragraph(text('open.lead')),
    element('form', { action: SEARCH, keydown: enter, input: keep }, number.part, pin.part),
    asking.part,
    actions(submit, button(text('back'), back, { class: 'secondary' })),
    element('p', { class: 'hint' }, dialable('open.lost')),
  ];
}

/**
 * A labelled input that browsers neither keep, correct nor send to be checked.
 * @param {string} key
 * @param {string} id
 * @param {{[name: string]: string}} attributes
 */
function field(key, id, attributes) {
  const input = element('input', {
    id,
    type: 'text',
    autocomplete: 'off',
    autocorrect: 'off',
    spellcheck: 'false',
    translate: 'no',
    'aria-describedby': `${id}-hint ${id}-problem`,
    ...attributes,
  });
  const problem = element('p', { class: 'field-problem', id: `${id}-problem`, role: 'alert' });
  const hint = element('p', { class: 'hint', id: `${id}-hint` }, text(`${key}.hint`));
  /** @param {string} what */
  const say = (what) => {
    problem.textContent = what;
    input.setAttribute('aria-invalid', String(what !== ''));
  };
  return {
    input,
    say,
    part: element(
      'div',
      { class: 'field' },
      element('label', { for: id }, text(key)),
      hint,
      input,
      problem,
    ),
  };
}

/** @param {Page} page */
export function caseView(page) {
  const opened = /** @type {Case} */ (page.session.case);
  const isOpen = isCaseOpen(opened);
  const isPending = Boolean(opened.erasure?.confirmedOn) && isOpen;
  const statusKey = isPending ? 'status.erasing' : STATUS_KEYS[opened.status] ?? 'status.unknown';
  const asking = calling(page);
  if (page.session.isCaseUnclear) void askAgain(page, asking.ask);
  /** @param {CaseItem} [item] */
  const withdraw = (item) => {
    page.withdrawing = item;
    page.go('withdraw');
  };
  return [
    heading(page, text('case.title')),
    asking.part,
    element(
      'dl',
      { class: 'facts' },
      fact('number.case', opened.caseNumber, { translate: 'no' }),
      fact('case.status', text(statusKey)),
      fact('case.opened', dayInWords(opened.openedOn)),
      opened.closedOn ? fact('case.closed', dayInWords(opened.closedOn)) : null,
    ),
    isOpen && !isPending ? paragraph(text(meaningKey(opened.items))) : null,
    opened.status === CASE_STATUS.REJECTED ? paragraph(dialable('status.rejected.hint')) : null,
    erasureOf(page, opened, isOpen),
    itemList(opened.items, isPending, withdraw),
    actions(
      isOpen && !isPending
        ? button(text('case.add'), () => addFiles(page), { class: 'primary' })
        : null,
      isOpen ? button(text('case.withdraw'), () => withdraw(), { class: 'secondary' }) : null,
      button(text('receipt.end'), () => page.restart(), { class: 'secondary' }),
    ),
  ];
}

/**
 * Ask how the case stands after a change that was not answered; a change that does not show yet
 * may still come.
 * @param {Page} page
 * @param {ReturnType<typeof calling>['ask']} ask
 */
async function askAgain(page, ask) {
  const { access, case: before } = page.session;
  const answer = await ask('GetCase', { access });
  if (!answer) return;
  const isAsBefore = before && standing(answer.case) === standing(before);
  showCase(page, access, answer.case, isAsBefore ? 'case.unclear' : undefined);
}

/**
 * Write what withdrawals and keeping change of a case, to be compared.
 * @param {Case} opened
 */
function standing(opened) {
  return JSON.stringify([isCaseOpen(opened), opened.items.length, opened.erasure]);
}

/** @param {Case} opened */
function isCaseOpen({ status }) {
  return status === CASE_STATUS.ACTIVE || status === CASE_STATUS.RECEIVED;
}

/** @param {string} key @param {string} value @param {{[name: string]: string}} [attributes] */
function fact(key, value, attributes = {}) {
  return [element('dt', {}, text(key)), element('dd', attributes, value)];
}

/**
 * What the states of the items mean together, as the command line says it.
 * @param {CaseItem[]} items
 */
function meaningKey(items) {
  const live = items.filter(({ state }) => isLive(state)).length;
  if (live) return live === items.length ? 'case.live' : 'case.part';
  return items.some(({ state }) => state === ITEM_STATE.DISABLED) ? 'case.off' : 'case.not_yet';
}

/**
 * That staff were asked to erase the case without its PIN, and how that is stopped.
 * @param {Page} page
 * @param {Case} opened
 * @param {boolean} isOpen
 */
function erasureOf(page, { erasure }, isOpen) {
  if (!erasure) return null;
  const days = {
    requested: dayInWords(erasure.requestedOn),
    confirmed: dayInWords(erasure.confirmedOn),
    due: dayInWords(erasure.dueOn),
    erased: dayInWords(erasure.erasedOn),
  };
  const pending = isOpen ? 'erasure.pending' : 'erasure.closed';
  const key = erasure.erasedOn
    ? 'erasure.done'
    : erasure.confirmedOn
      ? pending
      : 'erasure.requested';
  if (erasure.erasedOn) return warning(text(key, days));
  // also of a rejected case, which the service keeps like any other
  const shown = warning(text(key, days), text('erasure.unwanted'));
  shown.append(button(text('erasure.keep'), () => page.go('keep'), { class: 'primary' }));
  return shown;
}

/**
 * @param {CaseItem[]} items
 * @param {boolean} isPending
 * @param {(item: CaseItem) => void} withdraw
 */
function itemList(items, isPending, withdraw) {
  if (!items.length) return null;
  return element(
    'ul',
    { class: 'files' },
    items.map((item) => caseItem(item, isPending, withdraw)),
  );
}

/** @param {CaseItem} item @param {boolean} isPending @param {(item: CaseItem) => void} withdraw */
function caseItem(item, isPending, withdraw) {
  const name = itemName(item);
  const age = item.ageBand === AGE_BAND.ADULT ? 'case.adult' : 'case.minor';
  const lines = [
    item.ageBand ? age : '',
    isLive(item.state) || isPending ? '' : stateKey(item.state),
    item.outcomes.includes(ITEM_OUTCOME.BLOCKED) ? 'outcome.blocked' : '',
    item.outcomes.includes(ITEM_OUTCOME.NOT_BLOCKED) ? 'outcome.not_blocked' : '',
  ].filter(Boolean);
  return element(
    'li',
    {},
    element('p', { class: 'file-name' }, element('strong', {}, name)),
    lines.map((line) => element('p', { class: 'file-state' }, dialable(line))),
    element(
      'div',
      { class: 'file-actions' },
      button(text('case.withdraw_item', { name }), () => withdraw(item), { class: 'plain' }),
    ),
  );
}

/** @param {CaseItem} item */
function itemName({ itemId, kind }) {
  return text(kind === MEDIA_KIND.VIDEO ? 'case.video' : 'case.image', { mark: itemMark(itemId) });
}

/** @param {number} state */
function stateKey(state) {
  if (state === ITEM_STATE.WAITING) return 'state.waiting';
  return state === ITEM_STATE.DISABLED ? 'state.disabled' : 'state.not_found';
}

/**
 * Choose more files for this case.
 * @param {Page} page
 */
function addFiles(page) {
  page.session.forgetItems();
  page.go('age');
}

/** @param {Page} page */
export function withdrawView(page) {
  const { withdrawing } = page;
  const { access } = page.session;
  const asking = calling(page);
  const withdraw = async () => {
    const answer = withdrawing
      ? await asking.ask('WithdrawItems', { access, itemIds: [withdrawing.itemId] })
      : await asking.ask('WithdrawCase', { access });
    if (answer)
      showCase(page, access, answer.case, withdrawing ? 'withdraw.done.item' : 'withdraw.done');
  };
  const title = withdrawing
    ? text('withdraw.title.item', { name: itemName(withdrawing) })
    : text('withdraw.title');
  return [
    heading(page, title),
    paragraph(text(withdrawing ? 'withdraw.effect.item' : 'withdraw.effect')),
    paragraph(text('withdraw.erased')),
    paragraph(text('withdraw.again')),
    asking.part,
    actions(
      button(text(withdrawing ? 'withdraw.item' : 'withdraw.all'), withdraw, { class: 'danger' }),
      button(text('withdraw.cancel'), () => page.go('case'), { class: 'secondary' }),
    ),
  ];
}

/** @param {Page} page */
export function keepView(page) {
  const { access } = page.session;
  const asking = calling(page);
  const keep = async () => {
    const answer = await asking.ask('KeepCase', { access });
    if (answer) showCase(page, access, answer.case, 'keep.done');
  };
  return [
    heading(page, text('keep.title')),
    paragraph(text('keep.effect')),
    paragraph(dialable('keep.who')),
    asking.part,
    actions(button(text('erasure.keep'), keep, { class: 'primary' }), backButton(page, 'case')),
  ];
}
