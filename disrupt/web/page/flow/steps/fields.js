/**
 * Fields to type in, which browsers neither keep, correct nor send to be checked.
 *
 * @module
 */

import { element, fill } from '../elements.js';
import { text } from '../voice.js';

/** @typedef {ReturnType<typeof field>} Field */

/**
 * Where forms lead, which are never sent. For any other form Chromium asks a server of Google what
 * its fields mean, and so says who has opened a case.
 */
const SEARCH = '/search';

/**
 * A form, whose fields the Enter key ends.
 * @param {HTMLButtonElement} submit
 * @param {() => void} keep called when something is typed
 * @param {...Field} fields
 */
export function form(submit, keep, ...fields) {
  const enter = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Enter') return;
    // A form of one field would be sent.
    event.preventDefault();
    submit.click();
  };
  const parts = fields.map(({ part }) => part);
  return element('form', { action: SEARCH, keydown: enter, input: keep }, parts);
}

/**
 * A labelled input.
 * @param {string} label key of a text
 * @param {string} id
 * @param {string} hint
 * @param {{[name: string]: string}} attributes
 */
export function field(label, id, hint, attributes) {
  const input = element('input', {
    id,
    type: 'text',
    autocomplete: 'off',
    autocorrect: 'off',
    spellcheck: 'false',
    translate: 'no',
    dir: 'ltr',
    'aria-describedby': `${id}-hint ${id}-problem`,
    ...attributes,
  });
  const problem = element('p', { class: 'field-problem', id: `${id}-problem`, role: 'alert' });
  /** @param {string} what */
  const say = (what) => {
    fill(problem, what);
    input.setAttribute('aria-invalid', String(what !== ''));
  };
  const part = element(
    'div',
    { class: 'field' },
    element('label', { for: id }, text(label)),
    element('p', { class: 'hint', id: `${id}-hint` }, hint),
    input,
    problem,
  );
  return { input, say, part };
}
