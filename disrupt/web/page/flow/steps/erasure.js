/**
 * The receipt of a withdrawal: its code, for who wants it, and later whether all is erased.
 *
 * @module
 */

import { getReceipt } from '../../messages/calls.js';
import { groupedReceiptCode, parseReceiptCode } from '../../messages/cases.js';
import { button, element, fill, paragraph } from '../elements.js';
import { counted, dayInWords } from '../texts.js';
import { text } from '../voice.js';
import { field, form } from './fields.js';
import { actions, copied, download } from './parts.js';
import { asking } from './waiting.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../../messages/messages.js').WithdrawalReceipt} WithdrawalReceipt */

/** A name that tells nothing to whoever sees it among downloads. */
const SAVED_AS = 'receipt.json';

/**
 * The code of the last withdrawal, which is seen only where the person opens it.
 * @param {Page} page
 */
export function codePart(page) {
  const code = groupedReceiptCode(page.session.receiptCode);
  const done = element('p', { role: 'status' });
  const copy = async () =>
    fill(done, text((await copied(code)) ? 'number.copied' : 'erasure.not_copied'));
  const where = { open: text('welcome.open'), check: text('erasure.check') };
  return closedPart(
    page,
    'erasure.receipt',
    paragraph(text('erasure.keep')),
    element('p', { class: 'code', dir: 'ltr', translate: 'no', id: 'receipt-code' }, code),
    element('p', { class: 'hint' }, text('erasure.traces')),
    actions(button(text('number.copy'), copy)),
    done,
    paragraph(text('erasure.where', where)),
  );
}

/**
 * The place to check a receipt, beside that of number and PIN, which it does not need.
 * @param {Page} page
 */
export function checkPart(page) {
  const { session } = page;
  const { part, ask, forget } = asking(page);
  const answer = element('div', { role: 'status' });
  const saving = element('div');
  const code = field('erasure.code', 'receipt', text('erasure.code.hint'), {
    autocapitalize: 'none',
    value: session.typed.receipt,
  });
  const keep = () => {
    session.typed = { ...session.typed, receipt: code.input.value };
  };
  const check = async () => {
    const asked = parseReceiptCode(code.input.value);
    forget();
    fill(answer);
    fill(saving);
    code.say(asked ? '' : text('erasure.bad'));
    if (!asked) {
      code.input.focus();
      return;
    }
    const receipt = await ask((options) => getReceipt({ code: asked }, options), {
      about: 'error.receipt',
    });
    if (!receipt) return;
    fill(answer, erasure(receipt).map((line) => paragraph(line)));
    fill(saving, savingParts(receipt.document));
  };
  const submit = button(text('erasure.ask'), check);
  return closedPart(
    page,
    'erasure.check',
    paragraph(text('erasure.check.lead')),
    form(submit, keep, code),
    actions(submit),
    part,
    answer,
    saving,
  );
}

/**
 * What a receipt says, in words.
 * @param {WithdrawalReceipt} receipt
 */
function erasure({ erasedOn, mirrors, silent }) {
  if (!erasedOn) return [text('erasure.logged')];
  return [
    text('erasure.done', { day: dayInWords(erasedOn) }),
    ...(mirrors ? [counted('erasure.mirrors', mirrors)] : []),
    ...(silent ? [counted('erasure.silent', silent)] : []),
  ];
}

/**
 * A way to save the proofs, for whoever wants them to be checked by somebody else.
 * @param {string} proofs
 */
function savingParts(proofs) {
  const done = element('p', { role: 'status' });
  const save = () => {
    download(new Blob([proofs], { type: 'application/json' }), SAVED_AS);
    fill(done, text('erasure.saved', { name: SAVED_AS }));
  };
  return [
    paragraph(text('erasure.proofs')),
    element('p', { class: 'hint' }, text('erasure.traces')),
    actions(button(text('number.save'), save)),
    done,
  ];
}

/**
 * A part whose title alone is seen until it is opened; a switch of the language leaves it so.
 * @param {Page} page
 * @param {string} title key of a text
 * @param {...import('../elements.js').Leaf} children
 */
function closedPart({ opened }, title, ...children) {
  const part = element(
    'details',
    { open: opened.has(title) },
    element('summary', {}, text(title)),
    children,
  );
  part.addEventListener('toggle', () => (part.open ? opened.add(title) : opened.delete(title)));
  return part;
}
