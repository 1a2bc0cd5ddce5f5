/**
 * Which picture of a case is this file? The device says it, and sends nothing.
 *
 * @module
 */

import { button, element, fill, paragraph } from '../elements.js';
import { text } from '../voice.js';
import { filePicker, itemName, refusal } from './parts.js';

/** @typedef {import('../../messages/messages.js').CaseItem} CaseItem */

/**
 * Make a part that takes files and says their numbers in the open case.
 * @param {import('../page.js').Page} page
 * @param {CaseItem} [withdrawing] which is to be withdrawn: another is a warning
 */
export function whichPart(page, withdrawing) {
  const { session, signal } = page;
  const answers = element('ul', { class: 'files' });
  /** @param {Iterable<File>} files */
  const find = async (files) => {
    for (const file of files) {
      const state = element('p', { class: 'file-state', role: 'status' }, text('which.working'));
      const chosen = element('strong', { translate: 'no' }, file.name);
      answers.append(element('li', {}, element('p', { class: 'file-name' }, chosen), state));
      const found = await session.find(file, signal);
      if (signal.aborted) return;
      const item = 'item' in found ? found.item : undefined;
      const isOther = item && withdrawing && item.number !== withdrawing.number;
      if ('reason' in found) fill(state, refusal(page, found.reason));
      else if (!item) fill(state, text('which.none'));
      else {
        const name = itemName(item.kind, item.number);
        fill(state, isOther ? text('which.other', { name }) : name);
      }
      state.classList.add(item && !isOther ? 'done' : 'problem');
    }
  };
  const input = filePicker(find, 'which');
  return [
    element('h2', {}, text('which.title')),
    paragraph(text('which.lead')),
    input,
    button(text('which.pick'), () => input.click()),
    answers,
  ];
}
