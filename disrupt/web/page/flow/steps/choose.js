/**
 * Choosing files, while they are hashed in the background.
 *
 * @module
 */

import { button, element, fill, paragraph } from '../elements.js';
import { kindOf } from '../hasher.js';
import { togglePreview } from '../session.js';
import { counted } from '../texts.js';
import { text } from '../voice.js';
import {
  actions,
  backButton,
  dialable,
  filePicker,
  hashingText,
  heading,
  ofMinors,
  refusal,
} from './parts.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */

/** @param {Page} page */
export function chooseStep(page) {
  const { session, signal } = page;
  session.hasher.start();
  const files = element('ul', { class: 'files', 'aria-label': text('choose.files') });
  const summary = element('p', { class: 'summary', role: 'status' });
  const refused = element('p', { role: 'status' });
  const onward = button(text('continue'), () => goOn(page), { class: 'primary' });
  const { zone, pick } = dropZone(page);
  /** @type {Map<Item, () => void>} */
  let updates = new Map();
  const update = () => {
    fill(summary, summaryOf(page));
    fill(refused, refusedOf(page));
    const isUsable = session.isHashing || session.itemsAt('READY').length > 0;
    onward.setAttribute('aria-disabled', String(!isUsable));
    // The main button is the one that leads on.
    pick.className = isUsable ? '' : 'primary';
    fill(pick, text(session.items.length ? 'choose.pick.more' : 'choose.pick'));
  };
  const show = () => {
    const rows = session.items.map((item) => fileRow(page, item));
    updates = new Map(rows.map((row) => [row.item, row.update]));
    fill(
      files,
      rows.map(({ row }) => row),
    );
    if (!rows.length) files.replaceChildren();
    update();
  };
  /** @param {Event} event */
  const showOne = (event) => {
    updates.get(/** @type {CustomEvent<Item>} */ (event).detail)?.();
    update();
  };
  session.addEventListener('items', show, { signal });
  session.addEventListener('item', showOne, { signal });
  show();
  return [
    heading(page, text('choose.title'), session.hasCase ? undefined : 3),
    ofMinors(page),
    paragraph(text('choose.lead')),
    zone,
    files,
    summary,
    refused,
    actions(onward, backButton(page, 'age')),
  ];
}

/** @param {Page} page */
async function goOn(page) {
  await page.session.drawCase();
  page.go(page.session.hasCase ? 'send' : 'number');
}

/**
 * Say how many files are read, then how many are ready; nothing before there are any.
 * @param {Page} page
 */
function summaryOf({ session }) {
  if (session.isHashing) return hashingText(session);
  const ready = session.itemsAt('READY').length;
  return ready ? counted('choose.ready', ready) : '';
}

/**
 * Say that files cannot be registered, once all are read.
 * @param {Page} page
 */
function refusedOf({ session }) {
  const refused = session.itemsAt('REFUSED').length;
  if (session.isHashing || !refused) return '';
  return session.itemsAt('READY').length
    ? counted('choose.refused', refused)
    : text('choose.none');
}

/** @param {Page} page */
function dropZone({ session }) {
  const input = filePicker((files) => session.add(files), 'files');
  const pick = button('', () => input.click());
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
    pick,
    element('p', { class: 'hint' }, text('choose.drop')),
    element('p', { class: 'hint' }, dialable('choose.without')),
  );
  return { zone, pick };
}

/**
 * Make the row of a file. Its update moves the bar and changes texts without a new element, so
 * that the focus stays.
 * @param {Page} page
 * @param {Item} item
 */
function fileRow(page, item) {
  const label = item.file.name;
  const ofIt = () => element('span', { class: 'visually-hidden', translate: 'no' }, ` ${label}`);
  const progress = { max: 1, 'aria-label': text('choose.progress', { label }), translate: 'no' };
  const bar = element('progress', progress);
  const state = element('p', { class: 'file-state' });
  const preview = element('div', { class: 'preview' });
  const toggle = () => {
    togglePreview(item);
    showPreview();
  };
  const show = button('', toggle, { class: 'plain' });
  const remove = button('', () => page.session.remove(item), { class: 'plain' });
  const showPreview = () => {
    preview.replaceChildren(...(item.preview ? previewOf(item, label) : []));
    show.replaceChildren(text(item.preview ? 'choose.hide' : 'choose.preview'), ofIt());
  };
  let shown = '';
  const update = () => {
    bar.value = item.share;
    if (shown === item.step) return;
    shown = item.step;
    const isGoing = item.step === 'WAITING' || item.step === 'HASHING';
    bar.hidden = !isGoing;
    state.replaceChildren(...stateOf(page, item));
    state.classList.toggle('problem', item.step === 'REFUSED');
    state.classList.toggle('done', item.step === 'READY');
    show.hidden = item.step === 'REFUSED';
    remove.replaceChildren(text(isGoing ? 'choose.cancel' : 'choose.remove'), ofIt());
  };
  update();
  showPreview();
  const name = element('strong', { dir: 'auto', translate: 'no' }, label);
  const row = element(
    'li',
    {},
    element('p', { class: 'file-name' }, name),
    bar,
    state,
    preview,
    element('div', { class: 'file-actions' }, show, remove),
  );
  return { item, row, update };
}

/**
 * The file itself, blurred until it is tapped; words in its place if the browser cannot show it.
 * @param {Item} item
 * @param {string} label
 */
function previewOf(item, label) {
  const fail = () => {
    shown.replaceWith(text('choose.no_preview'));
    clear.remove();
  };
  const isVideo = (item.media?.kind ?? kindOf(item.file)) === 'video';
  const attributes = { src: item.preview, translate: 'no', error: fail };
  const shown = isVideo
    ? element('video', { ...attributes, 'aria-label': label })
    : element('img', { ...attributes, alt: label });
  shown.className = 'blurred';
  const ofIt = element('span', { class: 'visually-hidden', translate: 'no' }, ` ${label}`);
  const clear = button([text('choose.clear'), ofIt], () => {
    shown.className = '';
    if (isVideo) shown.setAttribute('controls', '');
    clear.remove();
    shown.tabIndex = -1;
    shown.focus();
  });
  return [shown, clear];
}

/** @param {Page} page @param {Item} item */
function stateOf(page, item) {
  if (item.step === 'REFUSED') return refusal(page, item.reason);
  if (item.step === 'WAITING') return [text('choose.waiting')];
  if (item.step === 'HASHING') return [text('choose.working')];
  if (item.media?.incomplete) return [text('choose.incomplete')];
  return [text(item.media?.firstFrameOnly ? 'choose.first_frame' : 'choose.done')];
}
