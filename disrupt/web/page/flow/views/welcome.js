/**
 * The first steps: what this does, for whom, and how old the person shown is.
 *
 * @module
 */

import { AGE_BAND } from '../../messages/messages.js';
import { button, element, paragraph } from '../elements.js';
import { text } from '../texts.js';
import { actions, backButton, dialable, heading } from './parts.js';

/** @typedef {import('../page.js').Page} Page */

/** @param {Page} page */
export function welcomeView(page) {
  return [
    heading(page, text('welcome.title')),
    element('p', { class: 'lead' }, text('welcome.lead')),
    paragraph(text('welcome.by')),
    element('h2', {}, text('welcome.does.title')),
    list('welcome.does.stays', 'welcome.does.blocks', 'welcome.does.withdraw'),
    element('h2', {}, text('welcome.does_not.title')),
    list('welcome.does_not.remove', 'welcome.does_not.messages', 'welcome.does_not.police'),
    actions(
      button(text('welcome.start'), () => page.go('who'), { class: 'primary' }),
      button(text('welcome.open'), () => page.go('open'), { class: 'secondary' }),
    ),
    element('p', { class: 'hint' }, text('exit.hint')),
  ];
}

/** @param {Page} page */
export function whoView(page) {
  /** @param {'ME' | 'OTHER'} who */
  const choose = (who) => () => {
    page.session.who = who;
    page.go('age');
  };
  return [
    heading(page, text('who.title'), 1),
    paragraph(text('who.lead')),
    choices(choice('who.me', choose('ME')), choice('who.other', choose('OTHER'), 'who.other.hint')),
    actions(backButton(page, 'welcome')),
  ];
}

/** @param {Page} page */
export function ageView(page) {
  const { session } = page;
  /** @param {number} ageBand */
  const choose = (ageBand) => () => {
    session.ageBand = ageBand;
    page.go('choose');
  };
  return [
    heading(page, text('age.title'), 2),
    paragraph(text('age.lead')),
    choices(
      choice('age.adult', choose(AGE_BAND.ADULT)),
      choice('age.minor', choose(AGE_BAND.MINOR), 'age.minor.hint'),
      choice('age.unsure', choose(AGE_BAND.UNSURE), 'age.unsure.hint'),
    ),
    actions(backButton(page, session.hasCase ? 'case' : 'who')),
  ];
}

/** @param {...string} keys */
function list(...keys) {
  return element(
    'ul',
    {},
    keys.map((key) => element('li', {}, dialable(key))),
  );
}

/** @param {...HTMLElement} children */
function choices(...children) {
  return element('div', { class: 'choices' }, children);
}

/** @param {string} key @param {() => void} action @param {string} [hint] */
function choice(key, action, hint) {
  const made = button(text(key), action, { class: 'choice' });
  if (hint) made.append(element('span', { class: 'hint' }, text(hint)));
  return made;
}
