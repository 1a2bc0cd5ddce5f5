/**
 * To whom the page speaks: to an adult, to a child, or to who helps somebody else. A text whose key
 * ends in `.child` or `.other` takes the place of the one without.
 *
 * @module
 */

import { firstKey, text as textOf } from './texts.js';

/** @typedef {'' | '.child' | '.other'} Voice end of the keys of its texts */

/** @type {Voice} */
let voice = '';

/**
 * Speak to the person of a session from now on.
 * @param {import('./session.js').Session} session
 */
export function speakTo({ ageBand, isGrown, isHelper }) {
  if (isHelper) voice = '.other';
  else voice = ageBand === 'MINOR' && !isGrown ? '.child' : '';
}

/**
 * Return a text in the current language, in the words for this person where there are some.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values] what takes the place of `{name}`
 */
export function text(key, values) {
  return textOf(firstKey(`${key}${voice}`, key), values);
}
