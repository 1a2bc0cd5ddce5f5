/**
 * What floods: cases, networks and keys of which many of the newest items are; and one item by its
 * id or a match id.
 *
 * @module
 */

import { element } from '../../../web/page/flow/elements.js';
import { call } from '../calling.js';
import { code, doing, field, form, heading, part, table } from '../parts.js';
import { text, written } from '../texts.js';
import { itemsView, showItem } from './items.js';

/** Show what floods. */
export async function floodsView() {
  const { rows, of } = await call('floods');
  const cells = rows.map((/** @type {any} */ row) => [
    text(`of.${row.by}`),
    code(row.tag),
    written(row.items),
    written(row.hashes),
    doing(text('list'), async () => {
      const view = await itemsView('all', { [row.by]: row.tag });
      part('main').replaceChildren(element('div', {}, view));
      part('main').querySelector('h1')?.focus();
    }),
  ]);
  const heads = ['by', 'tag', 'items', 'hashes', 'list'].map((head) => text(`head.${head}`));
  return [
    heading(text('view.floods')),
    element('p', {}, text('about.floods', { count: of })),
    table(text('floods'), heads, cells),
    element('h2', {}, text('find')),
    form(field('name', text('find.name')), text('find'), ({ name }) => showItem(name.trim())),
  ];
}
