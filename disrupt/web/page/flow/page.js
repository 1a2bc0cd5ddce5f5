/**
 * The frame of the page: shows one step at a time, in the language chosen, without a history entry.
 * From the PIN on, the back gesture of Android does what Back does on the page, where the browser
 * has CloseWatcher. A history entry would do so everywhere, and would stay behind the quick exit.
 *
 * @module
 */

import { button, element, fill, paragraph } from './elements.js';
import { Session } from './session.js';
import { caseStep, openStep, withdrawStep } from './steps/case.js';
import { chooseStep } from './steps/choose.js';
import { goodbyeStep } from './steps/goodbye.js';
import { helpStep } from './steps/help.js';
import { numberStep } from './steps/number.js';
import { dialable, outerLink } from './steps/parts.js';
import { receiptStep } from './steps/receipt.js';
import { sendStep } from './steps/send.js';
import { ageStep, welcomeStep, whoStep } from './steps/welcome.js';
import { currentLanguage, languages, operator, setLanguage } from './texts.js';
import { speakTo, text } from './voice.js';

/** @type {any} TypeScript's own types of browsers lack it */
const { CloseWatcher } = globalThis;

/** @typedef {keyof typeof STEPS} Step */

const STEPS = {
  welcome: welcomeStep,
  who: whoStep,
  age: ageStep,
  choose: chooseStep,
  number: numberStep,
  send: sendStep,
  receipt: receiptStep,
  open: openStep,
  case: caseStep,
  withdraw: withdrawStep,
  help: helpStep,
  goodbye: goodbyeStep,
};

/** What steps get: the session, the way to other steps, and `signal`, aborted when one ends. */
export class Page {
  session = new Session();
  /** @type {Step} */
  step = 'welcome';
  /**
   * A message shown at the top of the step: the key of a text.
   * @type {string | undefined}
   */
  notice;
  /**
   * What the person asked to withdraw; undefined: the whole case.
   * @type {import('../messages/messages.js').CaseItem | undefined}
   */
  withdrawing;
  /** Keys of the parts of this step that the person has opened. @type {Set<string>} */
  opened = new Set();
  #header = part('header');
  #main = part('main');
  #footer = part('footer');
  /**
   * The step to show once help is closed, and its notice.
   * @type {[step: Step, notice?: string]}
   */
  #afterHelp = ['welcome'];
  #shown = new AbortController();

  constructor() {
    // By `exit.js`, and when the page goes in any other way.
    for (const name of ['leaving', 'pagehide'])
      addEventListener(name, () => {
        this.#shown.abort();
        this.session.close();
        this.#main.replaceChildren();
      });
    // A page that the browser kept aside comes back without what it knew.
    addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
    const [loaded] = performance.getEntriesByType('navigation');
    const { type } = /** @type {PerformanceNavigationTiming} */ (loaded) ?? {};
    this.notice = type === 'reload' || type === 'back_forward' ? 'welcome.reloaded' : undefined;
    this.#render();
  }

  /** Aborted when the step that is shown is left. */
  get signal() {
    return this.#shown.signal;
  }

  /**
   * Show a step, and move the focus to its heading.
   * @param {Step} step
   * @param {string} [notice] key of a text
   */
  go(step, notice) {
    this.step = step;
    this.notice = notice;
    this.opened.clear();
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
    if (this.step === 'help') {
      this.go(...this.#afterHelp);
    } else {
      this.#afterHelp = [this.step, this.notice];
      this.go('help');
    }
  }

  /** Say goodbye: nothing of before is kept. */
  end() {
    this.session.close();
    this.session = new Session();
    this.withdrawing = undefined;
    this.go('goodbye');
  }

  /** Do what the step's own Back does; where it shows none, stay, and say how to leave. */
  #back() {
    const back = document.getElementById('back');
    if (back?.checkVisibility()) back.click();
    else this.go(this.step, 'back.stays');
  }

  #render() {
    this.#shown.abort();
    this.#shown = new AbortController();
    speakTo(this.session);
    if (this.session.access.caseNumber && CloseWatcher)
      new CloseWatcher({ signal: this.signal }).onclose = () => this.#back();
    const { tag, direction, isRead } = currentLanguage();
    document.documentElement.lang = tag;
    document.documentElement.dir = direction;
    document.title = text('title');
    this.#main.dataset.step = this.step;
    this.#header.setAttribute('aria-label', text('header'));
    // `exit.js` hears the click of the exit.
    const exit = { type: 'button', id: 'exit', title: text('exit.keys') };
    fill(this.#header, this.#languageChoice(), element('button', exit, text('exit')));
    const unread = !isRead && element('p', { class: 'unread' }, dialable('language.unread'));
    fill(this.#main, unread, STEPS[this.step](this));
    const label = text(this.step === 'help' ? 'help.back' : 'help.open');
    const help = button(label, () => this.toggleHelp(), { class: 'plain' });
    const notice = operator.notice && paragraph(outerLink(operator.notice, text('notice')));
    fill(this.#footer, help, paragraph(dialable('help.call')), notice);
  }

  #languageChoice() {
    const current = currentLanguage();
    const options = languages.map((each) =>
      element('option', { value: each.tag, lang: each.tag, selected: each === current }, each.name),
    );
    const change = async () => {
      await setLanguage(choice.value).catch(() => {
        this.notice = 'language.not_loaded';
      });
      this.#render();
      document.getElementById('language')?.focus();
    };
    const attributes = { id: 'language', 'aria-label': text('language'), translate: 'no', change };
    const choice = element('select', attributes, options);
    return choice;
  }
}

/** @param {string} id @returns {HTMLElement} */
function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}
