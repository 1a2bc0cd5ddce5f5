/**
 * The page's texts. French and English are loaded at once, another language when it is asked for;
 * nothing that was typed or chosen is lost by a switch.
 *
 * @module
 */

/** @typedef {{tag: string, name: string, direction: 'ltr' | 'rtl', isRead: boolean}} Language */
/** @typedef {{name: string, reportUrl: string}} Partner */

/** Of `Intl`, where the tag alone would choose what people here do not use. */
const LOCALES = new Map([
  ['fr-simple', 'fr-FR'],
  ['fr', 'fr-FR'],
  ['en', 'en-GB'],
  ['pt', 'pt-PT'],
  // The digits of case numbers, and of telephones.
  ['ar', 'ar-u-nu-latn'],
]);

/**
 * The languages that are offered.
 * @type {Language[]}
 */
export const languages = [];

let tag = 'fr';
/** @type {{[tag: string]: {[key: string]: string}}} */
const catalogues = {};

/** Who runs the page; what the installation does not say is empty. */
export const operator = { name: '', contact: { text: '', href: '' }, notice: '', logo: '' };

/** Load the texts and the operator, and show the browser's first language that there is. */
export async function loadTexts() {
  const [offered, who] = await Promise.all([
    load('languages'),
    load('operator'),
    loadLanguage('fr'),
    loadLanguage('en'),
  ]);
  languages.push(...offered);
  Object.assign(operator, who);
  // A page in French is better than none.
  await setLanguage(preferred(navigator.languages)).catch(() => {});
}

/** @type {Promise<{day: string, partners: Partner[]}> | undefined} */
let asked;

/**
 * Return the platforms that want to be named, and the day (ISO, UTC) of the list; none where the
 * service does not say.
 */
export function partners() {
  asked ??= load('partners').catch(() => {
    asked = undefined;
    return { day: '', partners: [] };
  });
  return /** @type {NonNullable<typeof asked>} */ (asked);
}

/** @param {string} name */
async function load(name) {
  const response = await fetch(`/${name}.json`, { credentials: 'omit' });
  if (!response.ok) throw new Error(`no ${name}`);
  return response.json();
}

/** @param {string} wanted */
async function loadLanguage(wanted) {
  if (wanted in catalogues) return;
  const parts = ['shared', 'page'].map((name) => load(`texts/${name}.${wanted}`));
  catalogues[wanted] = Object.assign({}, ...(await Promise.all(parts)));
}

/**
 * Return the tag of the first language that is offered, by its own tag or that of its language.
 * @param {readonly string[]} wanted tags, the most wanted first
 */
function preferred(wanted) {
  const tags = languages.map((language) => language.tag);
  const offered = wanted
    .map((each) => each.toLowerCase())
    .flatMap((each) => [each, each.split('-')[0]])
    .find((each) => tags.includes(each));
  return offered ?? 'fr';
}

/** Return the language that is shown. */
export function currentLanguage() {
  return /** @type {Language} */ (languages.find((language) => language.tag === tag));
}

/**
 * Switch the language that is shown, once it is loaded. Rejects where it cannot be had.
 * @param {string} to its tag
 */
export async function setLanguage(to) {
  await loadLanguage(to);
  tag = to;
}

/**
 * Return a text in the current language.
 * @param {string} key
 * @param {{[name: string]: string | number}} [values] what takes the place of `{name}`
 */
export function text(key, values = {}) {
  return filled(catalogues[tag][key] ?? key, values);
}

/**
 * Fill in the fields of a text, or of a part of it.
 * @param {string} template
 * @param {{[name: string]: string | number}} values
 */
export function filled(template, values) {
  const words = template.replace(/\{(\w+)\}/g, (field, name) => written(values[name] ?? field));
  return locale().startsWith('fr') ? typeset(words) : words;
}

/**
 * Return a text in the plural form of a number.
 * @param {string} key
 * @param {number} count
 */
export function counted(key, count) {
  const form = new Intl.PluralRules(locale()).select(count);
  return text(firstKey(`${key}.${form}`, `${key}.other`), { count });
}

/**
 * Return the first key for which there is a text.
 * @param {...string} keys
 */
export function firstKey(...keys) {
  return keys.find((key) => key in catalogues[tag]) ?? keys[keys.length - 1];
}

/**
 * Write a day in words.
 * @param {string} day ISO date (UTC)
 */
export function dayInWords(day) {
  const time = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(time)) return day;
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'long', timeZone: 'UTC' }).format(time);
}

/**
 * Keep digits and Latin letters in their order where they stand among words from right to left.
 * @param {string} value
 */
export function isolated(value) {
  return currentLanguage().direction === 'rtl' ? `\u2066${value}\u2069` : value;
}

function locale() {
  return LOCALES.get(tag) ?? tag;
}

/** @param {string | number} value */
function written(value) {
  return typeof value === 'number' ? new Intl.NumberFormat(locale()).format(value) : value;
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
