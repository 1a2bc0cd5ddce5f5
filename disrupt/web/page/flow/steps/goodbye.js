/**
 * The end: what is left on this device, and who listens.
 *
 * @module
 */

import { button, element, paragraph } from '../elements.js';
import { text } from '../voice.js';
import { actions, dialable, heading } from './parts.js';

/** @param {import('../page.js').Page} page */
export function goodbyeStep(page) {
  return [
    heading(page, text('goodbye.title')),
    element('p', { class: 'lead' }, text('goodbye.lead')),
    paragraph(dialable('goodbye.talk')),
    paragraph(text('goodbye.close')),
    actions(button(text('goodbye.home'), () => page.go('welcome'))),
  ];
}
