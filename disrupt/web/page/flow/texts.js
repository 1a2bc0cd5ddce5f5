/**
 * The page's texts in French and English. Both are loaded at once, so that a switch of the language
 * needs no network and loses nothing.
 *
 * @module
 */

/** @typedef {'fr' | 'en'} Language */

/** @type {Language} */
let language = 'fr';
/** @type {{[language: string]: {[key: string]: string}}} */
const catalogues = { fr: {}, en: {} };

/** Load the catalogues. Rejects when one cannot be had. */
export async function loadTexts() {
  const loads = ['fr', 'en'].flatMap((code) => ['shared', 'page'].map((name) => load(name, code)));
  await Promise.all(loads);
}

/** @param {string} name @param {string} code */
async function load(name, code) {
  const response = await fetch(`/texts/${name}.${code}.json`, {
    credentials: 'omit',
    cache: 'no-store',
  });
  if (!response.ok) throw new Error(`no texts ${name}.${code}`);
  Object.assign(catalogues[code], await response.json());
}

/** Return the language that is shown. */
export function currentLanguage() {
  return language;
}

/**
 * Switch the language that is shown.
 * @param {Language} to
 */
export function setLanguage(to) {
  language = to;
}

/**
 * Return a text in the current language.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values] what takes the place of `{name}`
 */
export function text(key, values = {}) {
  const words = filled(catalogues[language][key] ?? key, values);
  return language === 'fr' ? typeset(words) : words;
}

/**
 * Fill values in; a `{name}` without one stays.
 * @param {string} pattern
 * @param {{[name: string]: string | number}} values
 */
export function filled(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (field, name) => String(values[name] ?? field));
}

/**
 * Return a text for one or for several.
 * @param {string} key
 * @param {number} count
 */
export function counted(key, count) {
  return text(`${key}.${count === 1 ? 'one' : 'many'}`, { count });
}

/**
 * Tell whether there is a text.
 * @param {string} key
 */
export function hasText(key) {
  return key in catalogues[language];
}

/**
 * Write a day in words.
 * @param {string} day ISO date (UTC)
 */
export function dayInWords(day) {
  const time = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(time)) return day;
  return new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: 'UTC' }).format(time);
}

/**
 * Add the no-break spaces of French.
 * @param {string} french
 */
function typeset(french) {
  return french
    .replace(/ ([:;?!»])/g, '\u00a0$1')
    .replace(/« /g, '«\u00a0')
    .replace(/(\d) (?=[hs]\b|%|Mo\b)/g, '$1\u00a0');
}
