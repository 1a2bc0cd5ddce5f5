/**
 * Choosing files, while they are hashed in the background.
 *
 * @module
 */

import { button, element, fill, paragraph, say } from '../elements.js';
import { togglePreview } from '../session.js';
import { counted, text } from '../texts.js';
import { actions, backButton, heading, itemLabel, refusal } from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */

/** Kinds of files that the picker offers; what can be read is decided by what is in them. */
const ACCEPT = 'image/*,video/*,.heic,.heif,.avif,.mkv';

/**
 * The row of each file, and what brings it up to date. Rows outlive the step, so that another
 * language is shown soon, and a video that plays goes on.
 * @type {WeakMap<Item, {row: HTMLElement, update: () => void}>}
 */
const rows = new WeakMap();

/** @param {Page} page */
export function chooseView(page) {
  const { session, signal } = page;
  const files = element('ul', { class: 'files', 'aria-label': text('choose.files') });
  const summary = element('p', { class: 'summary', role: 'status' });
  const onward = button(text('continue'), () => goOn(page), { class: 'primary' });
  const update = () => {
    say(summary, summaryOf(page));
    onward.setAttribute('aria-disabled', String(!hasUsable(page)));
  };
  const list = () => {
    fill(
      files,
      session.items.map((item) => updatedRow(page, item)),
    );
    update();
  };
  session.addEventListener('items', list, { signal });
  session.addEventListener(
    'item',
    (event) => {
      rows.get(/** @type {CustomEvent<Item>} */ (event).detail)?.update();
      update();
    },
    { signal },
  );
  list();
  return [
    heading(page, text('choose.title'), 3),
    paragraph(text(session.who === 'OTHER' ? 'choose.lead.other' : 'choose.lead')),
    dropZone(page),
    files,
    summary,
    actions(onward, backButton(page, 'age')),
  ];
}

/** @param {Page} page */
async function goOn(page) {
  await page.session.drawCase();
  page.go(page.session.hasCase ? 'send' : 'number');
}

/** @param {Page} page */
function hasUsable({ session }) {
  return session.isHashing || session.itemsAt('READY').length > 0;
}

/**
 * Say how many files are ready; nothing before there are any.
 * @param {Page} page
 */
function summaryOf({ session }) {
  const { length } = session.items;
  if (!length) return '';
  const ready = session.itemsAt('READY').length;
  if (session.isHashing) return text('choose.hashing', { ready, count: length });
  if (!ready) return text('choose.none');
  const refused = session.itemsAt('REFUSED').length;
  const lines = [counted('choose.ready', ready)];
  if (refused) lines.push(counted('choose.refused', refused));
  return lines.join(' ');
}

/** @param {Page} page */
function dropZone({ session }) {
  const input = element('input', {
    type: 'file',
    id: 'files',
    multiple: true,
    accept: ACCEPT,
    hidden: true,
  });
  input.addEventListener('change', () => {
    session.add(input.files ?? []);
    // So that the same file may be chosen again after it was taken away.
    input.value = '';
  });
  const zone = element(
    'div',
    {
      class: 'drop',
      dragover: () => zone.classList.add('over'),
      dragleave: () => zone.classList.remove('over'),
      drop: (/** @type {DragEvent} */ event) => {
        zone.classList.remove('over');
        session.add(event.dataTransfer?.files ?? []);
      },
    },
    input,
    button(text('choose.pick'), () => input.click(), { class: 'secondary' }),
    element('p', { class: 'hint drop-hint' }, text('choose.drop')),
  );
  return zone;
}

/**
 * The row of a file, made when it is first shown.
 * @param {Page} page
 * @param {Item} item
 */
function updatedRow(page, item) {
  const shown = rows.get(item) ?? fileRow(page, item);
  rows.set(item, shown);
  shown.update();
  return shown.row;
}

/**
 * Make the row of a file. Its update moves the bar and changes texts without a new element, so
 * that the focus stays.
 * @param {Page} page
 * @param {Item} item
 */
function fileRow(page, item) {
  const bar = element('progress', { max: 1 });
  const name = element('strong');
  const state = element('p', { class: 'file-state' });
  const preview = element('div', { class: 'preview' });
  const toggle = () => {
    togglePreview(item);
    fill(preview, item.preview ? previewOf(item, update) : null);
    update();
  };
  const show = button('', toggle, { class: 'plain' });
  const remove = button('', () => page.session.remove(item), { class: 'plain' });
  const update = () => {
    const label = itemLabel(page, item);
    const isGoing = item.step === 'WAITING' || item.step === 'HASHING';
    bar.hidden = !isGoing;
    bar.value = item.progress;
    bar.setAttribute('aria-label', text('choose.progress', { label }));
    say(name, label);
    say(state, stateOf(item));
    state.classList.toggle('problem', item.step === 'REFUSED');
    state.classList.toggle('done', item.step === 'READY');
    if (preview.firstElementChild) preview.firstElementChild.setAttribute('aria-label', label);
    else say(preview, item.preview ? text('choose.no_preview') : '');
    show.hidden = item.step === 'REFUSED';
    say(show, text(item.preview ? 'choose.hide' : 'choose.preview'), hiddenLabel(label));
    say(remove, text(isGoing ? 'choose.cancel' : 'choose.remove'), hiddenLabel(label));
  };
  const row = element(
    'li',
    {},
    element(
      'p',
      { class: 'file-name' },
      name,
      ' ',
      element('span', { translate: 'no' }, item.file.name),
    ),
    bar,
    state,
    preview,
    element('div', { class: 'file-actions' }, show, remove),
  );
  return { row, update };
}

/**
 * The file itself. The update of its row names it, or says that it cannot be shown.
 * @param {Item} item
 * @param {() => void} update
 */
function previewOf(item, update) {
  const fail = () => {
    shown.remove();
    update();
  };
  const isVideo = item.result?.kind === 'VIDEO' || item.file.type.startsWith('video/');
  const shown = isVideo
    ? element('video', { src: item.preview, controls: true, muted: true, error: fail })
    : element('img', { src: item.preview, error: fail });
  return shown;
}

/** @param {string} label */
function hiddenLabel(label) {
  return element('span', { class: 'visually-hidden' }, ` ${label}`);
}

/** @param {Item} item */
function stateOf(item) {
  if (item.step === 'REFUSED') return refusal(item.cause);
  if (item.step !== 'READY')
    return text(item.step === 'HASHING' ? 'choose.working' : 'choose.waiting');
  const parts = [text('choose.done')];
  if (item.result?.incomplete) parts.push(text('choose.incomplete'));
  if (item.result?.framesLeft) parts.push(text('choose.frames_left'));
  return parts.join(' ');
}
