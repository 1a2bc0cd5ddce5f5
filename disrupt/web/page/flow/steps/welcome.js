/**
 * The first steps: what this does and does not do, whom it is about, and how old they were.
 *
 * @module
 */

import { button, element, paragraph } from '../elements.js';
import { operator } from '../texts.js';
import { text } from '../voice.js';
import { actions, backButton, dialable, heading, list, partnerLinks } from './parts.js';

/** @typedef {import('../page.js').Page} Page */

/** @param {Page} page */
export function welcomeStep(page) {
  return [
    heading(page, text('welcome.title')),
    element('p', { class: 'lead' }, text('welcome.lead')),
    operator.name && [
      paragraph(text('welcome.operator', { name: operator.name })),
      operator.logo && element('img', { class: 'logo', src: operator.logo, alt: '' }),
    ],
    actions(
      button(text('welcome.start'), () => page.go('who'), { class: 'primary' }),
      button(text('welcome.open'), () => page.go('open')),
    ),
    element('h2', {}, text('welcome.does.title')),
    list('does', [
      text('welcome.does.stays'),
      text('welcome.does.blocks'),
      text('welcome.does.withdraw'),
    ]),
    partnerLinks(),
    element('h2', {}, text('welcome.does_not.title')),
    list('does-not', [
      dialable('welcome.does_not.remove'),
      text('welcome.does_not.messages'),
      text('welcome.does_not.police'),
    ]),
    element('p', { class: 'hint' }, text('exit.hint')),
  ];
}

/** @param {Page} page */
export function whoStep(page) {
  /** @param {boolean} isHelper */
  const choose = (isHelper) => () => {
    page.session.isHelper = isHelper;
    page.go('age');
  };
  return [
    heading(page, text('who.title'), 1),
    paragraph(text('who.lead')),
    choices(
      choice(text('who.me'), choose(false), text('who.me.hint')),
      choice(text('who.other'), choose(true), text('who.other.hint')),
    ),
    actions(backButton(page, 'welcome')),
  ];
}

/** @param {Page} page */
export function ageStep(page) {
  const { session } = page;
  /** @param {string} ageBand */
  const choose = (ageBand) => () => {
    session.ageBand = ageBand;
    session.isGrown = false;
    session.changesAges = ageBand === 'MINOR';
    page.go('choose');
  };
  return [
    session.hasCase
      ? heading(page, text('age.title.add'))
      : heading(page, text('age.title'), 2),
    paragraph(text('age.lead')),
    paragraph(text('age.made')),
    choices(
      choice(text('age.adult'), choose('ADULT')),
      choice(text('age.minor'), choose('MINOR'), text('age.minor.hint')),
      choice(text('age.unsure'), choose('UNSPECIFIED'), text('age.unsure.hint')),
    ),
    actions(backButton(page, session.hasCase ? 'case' : 'who')),
  ];
}

/** @param {...HTMLElement} children */
function choices(...children) {
  return element('div', { class: 'choices' }, children);
}

/** @param {string} label @param {() => void} action @param {string} [hint] */
function choice(label, action, hint) {
  const words = element('span', {}, label, hint && element('span', { class: 'hint' }, hint));
  return button(words, action, { class: 'choice' });
}
