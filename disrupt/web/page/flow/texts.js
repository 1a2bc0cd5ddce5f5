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

/** Who runs the page, and the address of their notice; empty where the installation says neither. */
export const operator = { name: '', notice: '' };

/** Load the catalogues and the operator. Rejects when one cannot be had. */
export async function loadTexts() {
  const load = async (/** @type {string} */ name, /** @type {object} */ into) => {
    const response = await fetch(`/${name}.json`, { credentials: 'omit' });
    if (!response.ok) throw new Error(`no ${name}`);
    Object.assign(into, await response.json());
  };
  const texts = ['shared', 'page'].flatMap((name) =>
    ['fr', 'en'].map((code) => load(`texts/${name}.${code}`, catalogues[code])),
  );
  await Promise.all([load('operator', operator), ...texts]);
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
  const words = (catalogues[language][key] ?? key).replace(/\{(\w+)\}/g, (field, name) =>
    String(values[name] ?? field),
  );
  return language === 'fr' ? typeset(words) : words;
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
 * Return the first key for which there is a text.
 * @param {...string} keys
 */
export function firstKey(...keys) {
  return keys.find((key) => key in catalogues[language]) ?? keys[keys.length - 1];
}

/**
 * Write a day in words.
 * @param {string} day ISO date (UTC)
 */
export function dayInWords(day) {
  const time = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(time)) return day;
  const locale = { fr: 'fr-FR', en: 'en-GB' }[language];
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(time);
}

/**
 * Add the no-break spaces of French.
 * @param {string} french
 */
function typeset(french) {
  return french
    .replace(/ ([:;?!»])/g, '\u00a0$1')
    .replace(/« /g, '«\u00a0')
    .replace(/(\d) (?=[hs]\b|heures\b)/g, '$1\u00a0');
}
