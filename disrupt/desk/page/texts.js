/**
 * The desk's texts, French and English: both are loaded at once.
 *
 * @module
 */

/** @type {{[tag: string]: {[key: string]: string}}} */
const catalogues = {};

export const LANGUAGES = { fr: 'Français', en: 'English' };
const LOCALES = { fr: 'fr-FR', en: 'en-GB' };

/** @type {keyof typeof LANGUAGES} */
let tag = 'fr';

/** Load the texts, and begin in English where the browser has that before French. */
export async function loadTexts() {
  for (const each of Object.keys(LANGUAGES))
    catalogues[each] = await (await fetch(`/texts/${each}.json`)).json();
  const wanted = navigator.languages.map((each) => each.slice(0, 2));
  setLanguage(wanted.find((each) => each in LANGUAGES) ?? 'fr');
}

export function currentLanguage() {
  return tag;
}

/** @param {string} to */
export function setLanguage(to) {
  tag = /** @type {typeof tag} */ (to);
  document.documentElement.lang = tag;
}

/**
 * Return a text; the key itself where there is none, as of a newer server's word.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values] what takes the place of `{name}`
 */
export function text(key, values = {}) {
  const template = catalogues[tag][key] ?? key.slice(key.indexOf('.') + 1);
  const words = template.replace(/\{(\w+)\}/g, (field, name) => written(values[name] ?? field));
  if (tag !== 'fr') return words;
  return words.replace(/ ([:;?!»])/g, '\u00a0$1').replace(/« /g, '«\u00a0');
}

/** @param {string} key */
export function hasText(key) {
  return key in catalogues[tag];
}

/** @param {string | number} value */
export function written(value) {
  return typeof value === 'number' ? new Intl.NumberFormat(LOCALES[tag]).format(value) : value;
}

/**
 * Write a moment (ISO, UTC), or a day, in words.
 * @param {string} iso
 */
export function moment(iso) {
  const isDay = iso.length === '2026-12-31'.length;
  /** @type {Intl.DateTimeFormatOptions} */
  const style = isDay ? { dateStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' };
  const format = new Intl.DateTimeFormat(LOCALES[tag], { ...style, timeZone: 'UTC' });
  return format.format(new Date(iso)) + (isDay ? '' : ' UTC');
}

/**
 * Write a time in hours or days.
 * @param {number} seconds
 */
export function duration(seconds) {
  const hours = Math.round(seconds / 3600);
  return hours < 72 ? text('hours', { count: hours }) : text('days', { count: Math.round(hours / 24) });
}
