/**
 * Number and PIN, before anything is sent: to print, save or copy.
 *
 * @module
 */

import { button, element, paragraph } from '../elements.js';
import { text } from '../voice.js';
import { actions, backButton, heading, keeping, numberCard, warning } from './parts.js';

/** @param {import('../page.js').Page} page */
export function numberStep(page) {
  return [
    heading(page, text('number.title'), 4),
    paragraph(text('number.lead')),
    numberCard(page),
    keeping(page),
    warning(text('number.lost')),
    element('p', { class: 'hint' }, text('number.traces')),
    paragraph(text('number.not_yet')),
    actions(
      button(text('number.noted'), () => page.go('send'), { class: 'primary' }),
      backButton(page, 'choose'),
    ),
  ];
}
