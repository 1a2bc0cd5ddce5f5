/**
 * Tallies as plots, each with its table.
 *
 * @module
 */

import { element, fill } from '../../../web/page/flow/elements.js';
import { call } from '../calling.js';
import { field, form, heading, table } from '../parts.js';
import { text, written } from '../texts.js';

/** Tallies, and the label that each is shown by; docs/tallies.md defines them. */
const SHOWN = {
  outcomes: 'organisation',
  cases_opened: '',
  items_registered: 'age',
  items_withdrawn: 'age',
  uploads_matched: 'organisation',
  uploads_looked_up: 'organisation',
  disputes: 'organisation',
  reviews: 'action',
  probing: 'organisation',
};
const DAY_MS = 24 * 3600 * 1000;
const WIDTH = 720;
const HEIGHT = 160;

/** Show the tallies of the last 30 days, or those asked for. */
export async function figuresView() {
  const place = element('div');
  const today = new Date();
  const [first_day, last_day] = [29, 0].map((ago) =>
    new Date(today.getTime() - ago * DAY_MS).toISOString().slice(0, 10),
  );
  /** @param {{[name: string]: string}} given */
  const load = async ({ tally, ...days }) => {
    /** @type {{[name: string]: string}} */
    const by = SHOWN;
    const { points } = await call('tally', { tally, by: by[tally], ...days });
    fill(place, plot(text(`tally.${tally}`), points));
  };
  const options = Object.keys(SHOWN).map((tally) => /** @type {[string, string]} */ ([tally, text(`tally.${tally}`)]));
  await load({ tally: 'outcomes', first_day, last_day });
  const fields = [
    field('tally', text('tally'), { options }),
    field('first_day', text('from'), { type: 'date', value: first_day }),
    field('last_day', text('until'), { type: 'date', value: last_day }),
  ];
  return [heading(text('view.figures')), element('p', {}, text('about.figures')), form(fields, text('show'), load), place];
}

/**
 * Draw bars of each day or month, and the table of what they stand for.
 * @param {string} caption
 * @param {{day: string, label: string, count: number}[]} points
 */
function plot(caption, points) {
  const days = [...new Set(points.map(({ day }) => day))];
  const sums = days.map((day) =>
    points.filter((point) => point.day === day).reduce((sum, { count }) => sum + count, 0),
  );
  const most = Math.max(1, ...sums);
  const step = WIDTH / Math.max(days.length, 1);
  const svg = drawn('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': text('plot', { caption, most }) });
  for (const [at, sum] of sums.entries()) {
    const height = (sum / most) * (HEIGHT - 4);
    const bar = drawn('rect', { x: at * step + 1, y: HEIGHT - height, width: Math.max(step - 2, 1), height });
    bar.append(drawn('title', {}, `${days[at]}: ${written(sum)}`));
    svg.append(bar);
  }
  const rows = points.map(({ day, label, count }) => [day, label, written(count)]);
  const heads = ['day', 'label', 'count'].map((head) => text(`head.${head}`));
  return [days.length > 0 && svg, table(caption, heads, rows)];
}

/**
 * @param {string} tag
 * @param {{[name: string]: string | number}} attributes
 * @param {string} [words]
 */
function drawn(tag, attributes, words = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(words);
  return made;
}
