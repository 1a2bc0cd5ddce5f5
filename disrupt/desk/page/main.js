/**
 * The frame of the desk: signing in, and the views, each by the name behind `#` of the address.
 *
 * @module
 */

import { element, fill } from '../../web/page/flow/elements.js';
import { enrol, resume, session, signIn, signOut } from './calling.js';
import { doing, field, form, heading, part, say, trying } from './parts.js';
import { LANGUAGES, currentLanguage, loadTexts, setLanguage, text } from './texts.js';
import { figuresView } from './views/figures.js';
import { floodsView } from './views/floods.js';
import { itemsView } from './views/items.js';
import { logView } from './views/log.js';
import { lostView } from './views/lost.js';
import { passkeysView, serviceView } from './views/service.js';

/** @type {{[name: string]: () => Promise<import('./parts.js').Child>}} */
const VIEWS = {
  decide: () => itemsView('decide', { needs_staff: true }),
  waiting: () => itemsView('waiting', { states: ['waiting'] }),
  disputed: () => itemsView('disputed', { disputed: true }),
  hidden: () => itemsView('hidden', { states: ['disabled', 'rejected'] }),
  all: () => itemsView('all', {}),
  floods: floodsView,
  lost: lostView,
  common: () => itemsView('common', { banks: ['common'] }),
  figures: figuresView,
  log: logView,
  service: serviceView,
  passkeys: passkeysView,
};

let isIn = false;
/** Number of the newest view: one that comes late is not shown. */
let shown = 0;

session.ended = () => {
  isIn = false;
  show();
};

async function show() {
  const turn = ++shown;
  header();
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : 'decide';
  part('main').setAttribute('aria-busy', 'true');
  await trying(async () => {
    const view = isIn ? await VIEWS[name]() : welcome();
    if (turn !== shown) return;
    fill(part('main'), view);
    part('main').querySelector('h1')?.focus();
  });
  part('main').removeAttribute('aria-busy');
}

function header() {
  const languages = element(
    'select',
    {
      id: 'language',
      'aria-label': text('language'),
      change: () => {
        setLanguage(languages.value);
        show();
      },
    },
    Object.entries(LANGUAGES).map(([tag, name]) =>
      element('option', { value: tag, lang: tag, selected: tag === currentLanguage() }, name),
    ),
  );
  const current = location.hash.slice(1) || 'decide';
  const links = Object.keys(VIEWS).map((name) =>
    element('a', { href: `#${name}`, 'aria-current': name === current && 'page' }, text(`view.${name}`)),
  );
  fill(
    part('header'),
    element('strong', {}, text('title')),
    isIn && element('nav', { 'aria-label': text('views') }, links),
    element(
      'div',
      { class: 'who' },
      isIn && element('span', {}, session.name),
      isIn && doing(text('sign_out'), () => signOut().then(session.ended)),
      languages,
    ),
  );
}

function welcome() {
  /** @param {() => Promise<void>} by */
  const enter = async (by) => {
    await by();
    say('');
    isIn = true;
    await show();
  };
  return [
    heading(text('welcome')),
    element('p', {}, text('welcome.passkey')),
    element(
      'div',
      { class: 'actions' },
      doing(text('sign_in'), () => enter(signIn), { class: 'primary' }),
    ),
    element('h2', {}, text('enrol.title')),
    form(
      field('secret', text('enrol.secret'), { type: 'password', hint: text('enrol.hint') }),
      text('enrol'),
      ({ secret }) => enter(() => enrol(secret)),
    ),
  ];
}

async function start() {
  await loadTexts();
  isIn = await resume().then(
    () => true,
    () => false,
  );
  addEventListener('hashchange', () => {
    say('');
    show();
  });
  await show();
}

start();
