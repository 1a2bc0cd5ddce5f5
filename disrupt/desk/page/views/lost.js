/**
 * A lost PIN: two people ask that a case be erased.
 *
 * @module
 */

import { element, fill } from '../../../web/page/flow/elements.js';
import { call } from '../calling.js';
import { code, confirmed, field, form, heading, pages, say, table } from '../parts.js';
import { moment, text, written } from '../texts.js';

/** Show the erasures that wait, and the form that asks for one. */
export async function lostView() {
  const list = element('div');
  const load = async () => {
    const heads = ['case', 'items', 'asked', 'then'].map((head) => text(`head.${head}`));
    /** @param {any} row */
    const cells = (row) => [
      code(row.case),
      written(row.items),
      text('asked', { by: row.asked_by, at: moment(row.asked_at) }),
      row.erased_on
        ? text('erased_on', { day: moment(row.erased_on) })
        : text('second_until', { at: moment(row.confirm_until) }),
    ];
    const show = await pages(
      (page) => call('erasures', { page }),
      (rows) => table(text('erasures'), heads, rows.map(cells)),
    );
    fill(list, show);
  };
  await load();
  return [
    heading(text('view.lost')),
    element('p', {}, text('about.lost')),
    form(field('case', text('case'), { hint: text('case.hint') }), text('erase'), async ({ case: number }) => {
      if (!(await confirmed(text('erase.sure'), element('p', {}, text('erase.what'))))) return;
      const row = await call('erase', { case: number });
      await load();
      say(
        row.erased_on
          ? text('erase.second', { case: row.case, day: moment(row.erased_on) })
          : text('erase.first', { case: row.case, at: moment(row.confirm_until) }),
      );
    }),
    list,
  ];
}
