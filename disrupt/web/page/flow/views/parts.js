/**
 * What several steps show.
 *
 * @module
 */

import { groupedPin } from '../../messages/cases.js';
import { ITEM_STATE } from '../../messages/messages.js';
import { button, element, paragraph } from '../elements.js';
import { filled, hasText, text } from '../texts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */
/** @typedef {import('../elements.js').Child} Child */

/** Steps from the first question to the receipt. */
const STEPS = 6;

/** The numbers that the texts say to call; 3018.fr is a site. */
const NUMBERS = /\b(3018|119|112|17)\b(?!\.fr)/;

/**
 * The heading of a step, with the notice that it begins with.
 * @param {Page} page
 * @param {string} title
 * @param {number} [step] place among STEPS
 */
export function heading(page, title, step) {
  return [
    step ? element('p', { class: 'step' }, text('step', { step, steps: STEPS })) : null,
    element('h1', { tabindex: -1 }, title),
    page.notice ? element('p', { class: 'notice', role: 'status' }, text(page.notice)) : null,
  ];
}

/**
 * A text whose telephone numbers can be tapped.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values]
 */
export function dialable(key, values = {}) {
  // A value may look like a number to call: it is filled in after the split.
  return text(key)
    .split(NUMBERS)
    .map((part, place) =>
      place % 2 ? element('a', { href: `tel:${part}` }, part) : filled(part, values),
    );
}

/**
 * The buttons at the end of a step.
 * @param {...(HTMLElement | null)} buttons
 */
export function actions(...buttons) {
  return element('div', { class: 'actions' }, buttons);
}

/** @param {Page} page @param {import('../page.js').Step} step */
export function backButton(page, step) {
  return button(text('back'), () => page.go(step), { class: 'secondary' });
}

/**
 * A warning, with a sign that is no colour alone.
 * @param {...Child} texts
 */
export function warning(...texts) {
  return element(
    'div',
    { class: 'warning' },
    texts.map((each) => paragraph(each)),
  );
}

/**
 * Number and PIN, large; never translated by the browser, which would send them.
 * @param {Page} page
 */
export function numberCard({ session }) {
  const { caseNumber, pin } = session.access;
  /** @param {string} key @param {string} value @param {string} id */
  const entry = (key, value, id) => [
    element('dt', {}, text(key)),
    element('dd', { id, translate: 'no', spellcheck: 'false' }, value),
  ];
  return element(
    'dl',
    { class: 'card', translate: 'no' },
    entry('number.case', caseNumber, 'case-number'),
    entry('number.pin', groupedPin(pin), 'pin'),
  );
}

/**
 * Name a file on this page.
 * @param {Page} page
 * @param {Item} item
 */
export function itemLabel({ session }, item) {
  const place = session.items.indexOf(item) + 1;
  if (item.cause === 'NOT_MEDIA') return text('item.file', { place });
  const isVideo = item.result ? item.result.kind === 'VIDEO' : item.file.type.startsWith('video/');
  return text(isVideo ? 'item.video' : 'item.image', { place });
}

/** @param {number} state unspecified by an earlier server, which has LIVE items only */
export function isLive(state) {
  return state === ITEM_STATE.LIVE || state === 0;
}

/**
 * Name a registered item: the first eight digits of its id.
 * @param {Uint8Array} itemId
 */
export function itemMark(itemId) {
  const hex = Array.from(itemId.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
  return hex.toUpperCase().replace(/(.{4})(.{4})/, '$1\u00a0$2');
}

/**
 * A link to another site, in a tab of its own: the page and what it knows stay.
 * @param {string} href
 * @param {string} label
 */
export function outerLink(href, label) {
  const attributes = {
    href,
    target: '_blank',
    rel: 'noopener noreferrer',
    referrerpolicy: 'no-referrer',
  };
  return element(
    'a',
    attributes,
    label,
    element('span', { class: 'visually-hidden' }, ` (${text('new_tab')})`),
  );
}

/**
 * A file with what became of it.
 * @param {Page} page
 * @param {Item} item
 * @param {Child} line
 * @param {'problem' | 'done'} kind
 */
export function fileLine(page, item, line, kind) {
  const name = element('span', { class: 'no-print', translate: 'no' }, ` ${item.file.name}`);
  return element(
    'li',
    {},
    element('p', { class: 'file-name' }, element('strong', {}, itemLabel(page, item)), name),
    element('p', { class: `file-state ${kind}` }, line),
  );
}

/**
 * Why a file is not registered, and what can be done.
 * @param {string} [cause]
 */
export function refusal(cause) {
  const key = `refused.${cause}`;
  return dialable(hasText(key) ? key : 'refused.INTERNAL');
}
