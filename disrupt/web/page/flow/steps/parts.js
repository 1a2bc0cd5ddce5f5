/**
 * What several steps show.
 *
 * @module
 */

import { groupedPin } from '../../messages/cases.js';
import { button, element, fill, paragraph } from '../elements.js';
import { dayInWords, filled, firstKey, isolated, operator, partners } from '../texts.js';
import { text } from '../voice.js';

/** @typedef {import('../page.js').Page} Page */
/** @typedef {import('../session.js').Item} Item */
/** @typedef {import('../elements.js').Child} Child */

/** Steps from the first question to the receipt. */
const STEPS = 6;

/** The numbers that the texts say to call; 3018.fr is a site. */
const NUMBERS = /\b(3018|119|114|112|17)\b(?!\.fr)/;

/**
 * The heading of a step, with the notice that it begins with.
 * @param {Page} page
 * @param {string} title
 * @param {number} [step] place among STEPS
 */
export function heading(page, title, step) {
  const done = (/** @type {number} */ place) => (step && place < step ? 'past' : null);
  const marks = Array.from({ length: STEPS }, (_, place) => element('i', { class: done(place) }));
  return [
    step
      ? element(
          'p',
          { class: 'step' },
          element('span', { class: 'marks', 'aria-hidden': 'true' }, marks),
          text('step', { step, steps: STEPS }),
        )
      : null,
    element('h1', { tabindex: -1 }, title),
    page.notice ? element('p', { class: 'notice', role: 'status' }, text(page.notice)) : null,
  ];
}

/**
 * A text whose telephone numbers can be tapped; what fills its fields, as a day, is none.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values]
 */
export function dialable(key, values = {}) {
  const parts = text(key).split(NUMBERS);
  return parts.map((part, place) =>
    place % 2 ? element('a', { href: hrefOf(part) }, part) : filled(part, values),
  );
}

/** @param {string} number 114 is written to, by whoever cannot speak */
function hrefOf(number) {
  return number === '114' ? 'sms:114' : `tel:${number}`;
}

/**
 * A list of texts.
 * @param {string} kind class of the list
 * @param {Child[]} lines
 */
export function list(kind, lines) {
  return element(
    'ul',
    { class: kind },
    lines.map((line) => element('li', {}, line)),
  );
}

/**
 * The buttons at the end of a step.
 * @param {...(HTMLElement | false | null)} buttons
 */
export function actions(...buttons) {
  return element('div', { class: 'actions' }, buttons);
}

/**
 * The button that leads back, which the back gesture of a phone presses too.
 * @param {Page} page
 * @param {import('../page.js').Step} step
 */
export function backButton(page, step) {
  return button(text('back'), () => page.go(step), { id: 'back', class: 'plain' });
}

/**
 * A warning, with a sign that is no colour alone.
 * @param {...Child} texts
 */
export function warning(...texts) {
  return element(
    'div',
    { class: 'warning' },
    texts.map((each) => paragraph(each)),
  );
}

/**
 * Number and PIN, large, with what is printed below them. The browser never translates them, which
 * would send them, and they go from left to right among words of any direction.
 * @param {Page} page
 */
export function numberCard({ session }) {
  const { caseNumber, pin } = session.access;
  /** @param {string} key @param {string} value @param {string} id */
  const entry = (key, value, id) => [
    element('dt', {}, text(key)),
    element('dd', {}, element('bdi', { id, dir: 'ltr', translate: 'no' }, value)),
  ];
  return [
    element(
      'dl',
      { class: 'card' },
      entry('number.case', caseNumber, 'case-number'),
      entry('number.pin', groupedPin(pin), 'pin'),
    ),
    element(
      'div',
      { class: 'sheet', translate: 'no' },
      noteLines(session).map((line) => paragraph(line)),
    ),
  ];
}

/**
 * What is kept beside number and PIN: which file has which number, and how to come back. It says
 * nothing of what the case is about.
 * @param {import('../session.js').Session} session
 */
function noteLines({ items }) {
  const { name, contact } = operator;
  const today = new Date().toISOString().slice(0, 10);
  return [
    ...items.flatMap(({ file, registered }) =>
      registered ? `${registered.number}. ${isolated(file.name)}` : [],
    ),
    `${isolated(location.origin)} · ${dayInWords(today)}`,
    ...(name ? [`${name} · ${isolated(contact.text)}`] : []),
    text('note.next', { open: text('welcome.open') }),
  ];
}

/**
 * How many files are read, refused ones too, of all.
 * @param {import('../session.js').Session} session
 */
export function hashingText(session) {
  const { length: count } = session.items;
  const left = session.itemsAt('WAITING', 'HASHING').length;
  return text('choose.hashing', { ready: count - left, count });
}

/** Kinds of files that the picker offers; what can be read is decided by what is in them. */
const ACCEPT = 'image/*,video/*,.heic,.heif,.avif,.mkv';

/**
 * An input that stays hidden: a button clicks it.
 * @param {(files: Iterable<File>) => unknown} take called with the files that are chosen
 * @param {string} id
 */
export function filePicker(take, id) {
  const attributes = { type: 'file', id, multiple: true, accept: ACCEPT, hidden: true };
  const input = element('input', attributes);
  input.addEventListener('change', () => {
    take([...(input.files ?? [])]);
    // So that the same file may be chosen again.
    input.value = '';
  });
  return input;
}

/**
 * Copy to the clipboard, and say whether the browser did.
 * @param {string} words
 */
export async function copied(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return false;
  }
}

/**
 * Save a file among the downloads.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element('a', { href: url, download: name }).click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A name that tells nothing to whoever sees it among downloads. */
const SAVED_AS = 'notes.txt';

/**
 * The ways to keep number and PIN.
 * @param {Page} page
 */
export function keeping(page) {
  const { access } = page.session;
  const done = element('p', { role: 'status' });
  const lines = [
    `${text('number.case')}: ${isolated(access.caseNumber)}`,
    `${text('number.pin')}: ${isolated(groupedPin(access.pin))}`,
    ...noteLines(page.session),
  ];
  const copy = async () =>
    fill(done, text((await copied(lines.join('\r\n'))) ? 'number.copied' : 'number.not_copied'));
  const save = () => {
    download(new Blob([lines.join('\r\n')], { type: 'text/plain' }), SAVED_AS);
    fill(done, text('number.saved', { name: SAVED_AS }));
  };
  return element(
    'div',
    { class: 'keeping' },
    button(text('number.print'), () => print()),
    button(text('number.save'), save),
    button(text('number.copy'), copy),
    done,
  );
}

/**
 * Name a registered file as its case does. There is no other number of it anywhere: a person who
 * mixes two up withdraws the wrong picture.
 * @param {string} kind of MEDIA_KIND, or of Media
 * @param {number} number
 */
export function itemName(kind, number) {
  return text(kind.toUpperCase() === 'VIDEO' ? 'case.video' : 'case.image', { number });
}

/**
 * A link to another site, in a tab of its own: the page and what it knows stay.
 * @param {string} href
 * @param {string} label
 */
export function outerLink(href, label) {
  const attributes = {
    href,
    target: '_blank',
    rel: 'noopener noreferrer',
    referrerpolicy: 'no-referrer',
  };
  const hint = element('span', { class: 'visually-hidden' }, ` (${text('new_tab')})`);
  return element('a', attributes, label, hint);
}

/**
 * What a child should hear first, or who helps one; nothing of adults' pictures. Who was a child
 * then, and is none today, says so.
 * @param {Page} page
 */
export function ofMinors(page) {
  const { session } = page;
  if (session.ageBand !== 'MINOR' || session.isGrown) return null;
  const speakToAnAdult = () => {
    session.isGrown = true;
    page.go(page.step);
  };
  return element(
    'div',
    { class: 'notice' },
    element('p', {}, dialable('minor.first')),
    element('p', {}, dialable('minor.call')),
    paragraph(outerLink(HELP[3018].href, text('minor.chat'))),
    session.isHelper ? null : button(text('minor.grown'), speakToAnAdult, { class: 'plain' }),
  );
}

/** Who helps: where they are, and keys of texts. */
const HELP = {
  3018: { key: 'help.link.3018', href: 'https://3018.fr/' },
  hotline: { key: 'help.link.hotline', href: 'https://www.pointdecontact.net/' },
  pharos: { key: 'help.link.pharos', href: 'https://www.internet-signalement.gouv.fr/' },
  stopncii: { key: 'help.link.stopncii', href: 'https://stopncii.org/' },
  takeitdown: { key: 'help.link.takeitdown', href: 'https://takeitdown.ncmec.org/' },
};

/**
 * A list of links to who helps.
 * @param {...keyof typeof HELP} names
 */
export function helpLinks(...names) {
  const lines = names.map((name) => {
    const { key, href } = HELP[name];
    return [outerLink(href, text(key)), element('br'), text(`${key}.hint`)];
  });
  return list('links', lines);
}

/** The partner platforms with a link to report to each, as of a day, once the service says them. */
export function partnerLinks() {
  const part = element('div', { class: 'partners' });
  void partners().then(({ day, partners }) => {
    if (!partners.length) return;
    const links = partners.map(({ name, reportUrl }) => outerLink(reportUrl, name));
    fill(part, paragraph(text('partners.day', { day: dayInWords(day) })), list('links', links));
  });
  return part;
}

/**
 * A link to whoever runs the page; its label alone where the installation says no contact.
 * @param {string} label
 */
export function contactLink(label) {
  const { href } = operator.contact;
  if (href.startsWith('https:')) return outerLink(href, label);
  return href ? element('a', { href }, label) : label;
}

/** Who runs the page: logo, name, how to reach them, and their notice. */
export function operatorPart() {
  const { name, contact, notice, logo } = operator;
  return element(
    'div',
    { class: 'operator', translate: 'no' },
    logo && element('img', { src: logo, alt: '' }),
    name && element('p', {}, element('strong', {}, name)),
    contact.href && paragraph(contactLink(contact.text)),
    notice && paragraph(outerLink(notice, text('notice'))),
  );
}

/**
 * A file with what became of it.
 * @param {Item} item
 * @param {Child} line
 * @param {'problem' | 'done'} kind
 */
export function fileLine({ file, media, registered }, line, kind) {
  const number = media && registered && itemName(media.kind, registered.number);
  const attributes = { dir: 'auto', translate: 'no' };
  const name = element(number ? 'span' : 'strong', attributes, file.name);
  return element(
    'li',
    {},
    element('p', { class: 'file-name' }, number && element('strong', {}, number), ' ', name),
    element('p', { class: `file-state ${kind}` }, line),
  );
}

/** Reasons that the catalogues know by the name that the service has for them. */
const KEYS = new Map([['featureless', 'LOW_QUALITY']]);

/**
 * Why a file is not registered, and what can be done. Nobody is told to make another picture of a
 * minor.
 * @param {Page} page
 * @param {string} [reason]
 */
export function refusal({ session }, reason = 'internal') {
  const name = KEYS.get(reason) ?? reason.toUpperCase().replaceAll('-', '_');
  const keys = [`refused.${name}`, 'refused.INTERNAL'];
  const ofMinors = session.ageBand === 'ADULT' ? [] : [`refused.${name}.minor`];
  return dialable(firstKey(...ofMinors, ...keys));
}
