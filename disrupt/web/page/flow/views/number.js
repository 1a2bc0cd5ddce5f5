/**
 * Number and PIN, before anything is sent: to print, save or copy.
 *
 * @module
 */

import { groupedPin } from '../../messages/cases.js';
import { button, element, paragraph } from '../elements.js';
import { text } from '../texts.js';
import { actions, backButton, heading, itemLabel, itemMark, numberCard, warning } from './parts.js';

/** @typedef {import('../page.js').Page} Page */

/** A name that tells nothing to whoever sees it among downloads. */
const SAVED_AS = 'notes.txt';

/** @param {Page} page */
export function numberView(page) {
  return [
    heading(page, text('number.title'), 4),
    paragraph(text(page.session.who === 'OTHER' ? 'number.lead.other' : 'number.lead')),
    numberCard(page),
    keeping(page),
    warning(text('number.lost')),
    element('p', { class: 'hint' }, text('number.traces')),
    actions(
      button(text('number.noted'), () => page.go('send'), { class: 'primary' }),
      backButton(page, 'choose'),
    ),
  ];
}

/**
 * The ways to keep number and PIN.
 * @param {Page} page
 */
export function keeping(page) {
  const done = element('p', { role: 'status', class: 'summary' });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(receiptText(page));
      done.textContent = text('number.copied');
    } catch {
      done.textContent = text('number.not_copied');
    }
  };
  const keep = () => {
    save(receiptText(page));
    done.textContent = text('number.saved', { name: SAVED_AS });
  };
  return element(
    'div',
    { class: 'keeping' },
    button(text('number.print'), () => print(), { class: 'secondary' }),
    button(text('number.save'), keep, { class: 'secondary' }),
    button(text('number.copy'), copy, { class: 'secondary' }),
    done,
  );
}

/**
 * What is saved or copied: no name of a file, and nothing of a picture.
 * @param {Page} page
 */
function receiptText(page) {
  const { access, items } = page.session;
  const lines = [
    `${text('number.case')}: ${access.caseNumber}`,
    `${text('number.pin')}: ${groupedPin(access.pin)}`,
    ...items.flatMap((item) =>
      item.registered ? [`${itemLabel(page, item)}: ${itemMark(item.registered.itemId)}`] : [],
    ),
    location.origin,
  ];
  return lines.join('\r\n') + '\r\n';
}

/** @param {string} content */
function save(content) {
  const url = URL.createObjectURL(new Blob([content], { type: 'text/plain' }));
  element('a', { href: url, download: SAVED_AS }).click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
