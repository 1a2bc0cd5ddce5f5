/**
 * Help: whom to turn to, what platforms do, what a minor should know, what the exit does not hide.
 *
 * @module
 */

import { button, element, paragraph } from '../elements.js';
import { operator } from '../texts.js';
import { text } from '../voice.js';
import {
  actions,
  dialable,
  heading,
  helpLinks,
  operatorPart,
  outerLink,
  partnerLinks,
} from './parts.js';

/** @typedef {import('../page.js').Page} Page */

/** Parts of the help, with the number of their paragraphs. */
const SECTIONS = { platforms: 3, minors: 3, exit: 3, privacy: 4 };

/** @param {Page} page */
export function helpStep(page) {
  return [
    heading(page, text('help.title')),
    element('p', { class: 'lead' }, dialable('help.call')),
    helpLinks(3018, 'hotline', 'pharos', 'stopncii', 'takeitdown'),
    operator.name && [element('h2', {}, text('help.operator.title')), operatorPart()],
    Object.entries(SECTIONS).flatMap(([section, paragraphs]) => [
      element('h2', {}, text(`help.${section}.title`)),
      ...Array.from({ length: paragraphs }, (_, place) =>
        paragraph(dialable(`help.${section}.${place + 1}`)),
      ),
      section === 'platforms' && partnerLinks(),
    ]),
    paragraph(outerLink('/licences.html', text('help.licences'))),
    actions(button(text('help.back'), () => page.toggleHelp(), { id: 'back', class: 'primary' })),
  ];
}
