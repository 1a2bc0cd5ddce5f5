/**
 * The frame of the page: shows one step at a time, in either language, without a history entry.
 *
 * @module
 */

import { element, fill, paragraph } from './elements.js';
import { watchLeaving } from './leaving.js';
import { Session } from './session.js';
import { currentLanguage, setLanguage, text } from './texts.js';
import { caseView, keepView, openView, withdrawView } from './views/case.js';
import { chooseView } from './views/choose.js';
import { helpView } from './views/help.js';
import { numberView } from './views/number.js';
import { dialable } from './views/parts.js';
import { receiptView } from './views/receipt.js';
import { sendView } from './views/send.js';
import { ageView, welcomeView, whoView } from './views/welcome.js';

/** @typedef {keyof typeof VIEWS} Step */

const VIEWS = {
  welcome: welcomeView,
  who: whoView,
  age: ageView,
  choose: chooseView,
  number: numberView,
  send: sendView,
  receipt: receiptView,
  open: openView,
  case: caseView,
  withdraw: withdrawView,
  keep: keepView,
  help: helpView,
};

/**
 * What views get: the session, the way to other steps, and `signal`, aborted when the step ends.
 */
export class Page {
  session = new Session();
  /** @type {Step} */
  step = 'welcome';
  /**
   * A message shown at the top of the next step.
   * @type {string | undefined}
   */
  notice;
  /**
   * What the person asked to withdraw; undefined: the whole case.
   * @type {import('../messages/messages.js').CaseItem | undefined}
   */
  withdrawing;
  #main;
  #header;
  #footer;
  /**
   * The step to show once help is closed, and its notice.
   * @type {[step: Step, notice?: string]}
   */
  #afterHelp = ['welcome'];
  #shown = new AbortController();

  /** @param {HTMLElement} header @param {HTMLElement} main @param {HTMLElement} footer */
  constructor(header, main, footer) {
    this.#header = header;
    this.#main = main;
    this.#footer = footer;
    watchLeaving(this);
    this.#render();
  }

  /** Aborted when the step that is shown is left. */
  get signal() {
    return this.#shown.signal;
  }

  /** Whether leaving loses something. */
  get isUnderway() {
    return this.session.isUnderway && this.step !== 'receipt';
  }

  /**
   * Show a step, and move the focus to its heading.
   * @param {Step} step
   * @param {string} [notice] key of a text
   */
  go(step, notice) {
    this.step = step;
    this.notice = notice;
    this.#render();
    scrollTo(0, 0);
    this.#main.querySelector('h1')?.focus();
  }

  /**
   * Show a step that comes by itself: while somebody reads the help, once they have closed it.
   * @param {Step} step
   * @param {string} [notice] key of a text
   */
  goAfterHelp(step, notice) {
    if (this.step === 'help') this.#afterHelp = [step, notice];
    else this.go(step, notice);
  }

  /** Show the help; or what was shown before it. */
  toggleHelp() {
    if (this.step !== 'help') {
      this.#afterHelp = [this.step, this.notice];
      this.go('help');
    } else {
      this.go(...this.#afterHelp);
    }
  }

  /** Begin anew: nothing of before is kept. */
  restart() {
    this.session.close();
    this.session = new Session();
    this.go('welcome');
  }

  /** Show the step again, after what it shows changed. */
  refresh() {
    this.#render();
  }

  #render() {
    this.#shown.abort();
    this.#shown = new AbortController();
    document.documentElement.lang = currentLanguage();
    document.title = text('title');
    this.#header.setAttribute('aria-label', text('header'));
    fill(this.#header, this.#languageButton(), this.#exitButton());
    fill(this.#main, VIEWS[this.step](this));
    fill(this.#footer, this.#helpButton(), paragraph(dialable('help.call')));
  }

  #languageButton() {
    const other = currentLanguage() === 'fr' ? 'en' : 'fr';
    const switchLanguage = () => {
      setLanguage(other);
      this.#render();
      document.getElementById('language')?.focus();
    };
    const label = { fr: 'Français', en: 'English' }[other];
    return element(
      'button',
      { type: 'button', id: 'language', class: 'plain', lang: other, click: switchLanguage },
      label,
    );
  }

  #exitButton() {
    // `exit.js` hears its click.
    return element('button', { type: 'button', id: 'exit', title: text('exit.keys') }, text('exit'));
  }

  #helpButton() {
    const label = text(this.step === 'help' ? 'help.back' : 'help.open');
    return element(
      'button',
      { type: 'button', class: 'plain', click: () => this.toggleHelp() },
      label,
    );
  }
}
