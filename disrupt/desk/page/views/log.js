/**
 * The record of acts, and the undoing of those on many items.
 *
 * @module
 */

import { element, fill } from '../../../web/page/flow/elements.js';
import { call } from '../calling.js';
import { code, field, form, heading, pages, table } from '../parts.js';
import { moment, text, written } from '../texts.js';
import { undoing } from './items.js';

const UNDONE_WITHIN_MS = 7 * 24 * 3600 * 1000;

/** Show the record. */
export async function logView() {
  const list = element('div');
  /** @param {object} days */
  const load = async (days) => {
    const heads = ['number', 'at', 'by', 'act', 'on', 'reason', 'undo'];
    const show = await pages(
      (page) => call('acts', { ...days, page }),
      (rows) =>
        table(text('view.log'), heads.map((head) => text(`head.${head}`)), rows.map((row) => cells(row, () => load(days)))),
    );
    fill(list, show);
  };
  await load({});
  const fields = [
    field('first_day', text('from'), { type: 'date' }),
    field('last_day', text('until'), { type: 'date' }),
  ];
  return [heading(text('view.log')), element('p', {}, text('about.log')), form(fields, text('filter'), load), list];
}

/** @param {any} row @param {() => Promise<void>} again */
function cells(row, again) {
  const on = ['item', 'case', 'bank', 'key']
    .filter((name) => row[name])
    .map((name) => element('div', {}, `${text(`of.${name}`)} `, code(name === 'item' ? row[name].slice(0, 8) : row[name])));
  const canUndo = row.items && !row.undone && Date.now() - Date.parse(row.at) < UNDONE_WITHIN_MS;
  return [
    String(row.number),
    moment(row.at),
    row.organisation ? `${row.actor} (${row.organisation})` : row.actor,
    text(`action.${row.action}`),
    [row.items && element('div', {}, text('on_items', { count: row.items })), row.undone && element('div', {}, text('of_act', { act: String(row.undone) })), on],
    row.reason,
    canUndo && undoing(row.number, again),
  ];
}
