/**
 * Parts that the views are made of: headings, tables, fields, pages of lists, messages, questions.
 *
 * @module
 */

import { button, element, fill } from '../../web/page/flow/elements.js';
import { Refused } from './calling.js';
import { hasText, text } from './texts.js';

/** @typedef {import('../../web/page/flow/elements.js').Child} Child */

/** @param {string} id @returns {HTMLElement} */
export function part(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Say what happened, to eyes and screen readers; with an act that can be undone, how.
 * @param {string} words
 * @param {Child} [more]
 */
export function say(words, more) {
  fill(part('said'), words && element('span', {}, words), words ? (more ?? null) : null);
}

/**
 * Do something, and say in words what was refused. Returns whether it was done.
 * @param {() => Promise<unknown>} act
 */
export async function trying(act) {
  try {
    await act();
    return true;
  } catch (error) {
    const { reason, message } = error instanceof Refused ? error : { reason: 'PAGE', message: String(error) };
    const key = `error.${reason}`;
    say(hasText(key) ? text(key) : text('error.other', { detail: message || reason }));
    return false;
  }
}

/**
 * Make a button that does something and says what was refused.
 * @param {Child} label
 * @param {() => Promise<unknown>} act
 * @param {{[name: string]: any}} [attributes]
 */
export function doing(label, act, attributes) {
  return button(label, () => trying(act), attributes);
}

/** @param {string} words */
export function heading(words) {
  document.title = `${words} – ${text('title')}`;
  return element('h1', { tabindex: '-1' }, words);
}

/**
 * Make a table with a caption, which scrolls by itself where it is wide.
 * @param {string} caption
 * @param {string[]} heads
 * @param {Child[][]} rows
 */
export function table(caption, heads, rows) {
  const cells = rows.map((row) => row.map((cell) => element('td', {}, cell)));
  if (!rows.length) return element('p', {}, `${caption}${text('colon')} ${text('none')}`);
  return element(
    'div',
    { class: 'wide', tabindex: '0', role: 'region', 'aria-label': caption },
    element(
      'table',
      {},
      element('caption', {}, caption),
      element('thead', {}, element('tr', {}, heads.map((head) => element('th', { scope: 'col' }, head)))),
      element('tbody', {}, cells.map((row) => element('tr', {}, row))),
    ),
  );
}

/**
 * Make a labelled field; `options` make it a choice.
 * @param {string} name
 * @param {string} label
 * @param {{value?: string, type?: string, options?: [string, string][], hint?: string}} [of]
 */
export function field(name, label, { value = '', type = 'text', options, hint } = {}) {
  const id = `field-${name}`;
  const described = hint ? { 'aria-describedby': `${id}-hint` } : {};
  const input = options
    ? element(
        'select',
        { id, name, ...described },
        options.map(([each, words]) => element('option', { value: each, selected: each === value }, words)),
      )
    : element('input', { id, name, type, value, autocomplete: 'off', spellcheck: 'false', ...described });
  return element(
    'div',
    { class: 'field' },
    element('label', { for: id }, label),
    hint && element('p', { class: 'hint', id: `${id}-hint` }, hint),
    input,
  );
}

/**
 * Make a form; `send` gets what its fields say.
 * @param {Child} fields
 * @param {string} label
 * @param {(given: {[name: string]: string}) => Promise<unknown>} send
 */
export function form(fields, label, send) {
  const made = element(
    'form',
    {
      /** @param {SubmitEvent} event */
      submit: (event) => {
        event.preventDefault();
        const given = Object.fromEntries(new FormData(made).entries());
        trying(() => send(/** @type {{[name: string]: string}} */ (given)));
      },
    },
    element('div', { class: 'fields' }, fields),
    element('button', { type: 'submit', class: 'primary' }, label),
  );
  return made;
}

/**
 * Ask, in a dialog, whether to go on: Escape and the first button say no.
 * @param {string} question
 * @param {Child} shown
 * @returns {Promise<boolean>}
 */
export function confirmed(question, shown) {
  return new Promise((resolve) => {
    /** @type {HTMLDialogElement} */
    const dialog = element(
      'dialog',
      {
        'aria-labelledby': 'question',
        close: () => {
          resolve(dialog.returnValue === 'yes');
          dialog.remove();
        },
      },
      element('h2', { id: 'question' }, question),
      shown,
      element(
        'div',
        { class: 'actions' },
        button(text('no'), () => dialog.close('no')),
        button(text('yes'), () => dialog.close('yes'), { class: 'primary' }),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Show the pages of a list, one at a time: the browser holds no more.
 * @param {(page: number) => Promise<{rows: any[], next: number}>} load
 * @param {(rows: any[]) => Child} show
 */
export async function pages(load, show) {
  const place = element('div');
  /** @param {number[]} before pages before this one @param {number} page */
  const turn = async (before, page) => {
    const { rows, next } = await load(page);
    const back = before[before.length - 1];
    fill(
      place,
      show(rows),
      element(
        'nav',
        { class: 'pages', 'aria-label': text('pages') },
        before.length > 0 && doing(text('newer'), () => turn(before.slice(0, -1), back)),
        next > 0 && doing(text('older'), () => turn([...before, page], next)),
      ),
    );
  };
  await turn([], 0);
  return place;
}

/** @param {string} id */
export function code(id) {
  return element('code', { translate: 'no' }, id);
}
