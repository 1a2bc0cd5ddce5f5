/**
 * Lists of items, and what is decided of those that are ticked, or of all that conditions name.
 *
 * @module
 */

import { button, element, fill } from '../../../web/page/flow/elements.js';
import { call } from '../calling.js';
import { code, confirmed, doing, field, form, heading, pages, part, say, table } from '../parts.js';
import { currentLanguage, moment, text, written } from '../texts.js';

/** @typedef {{[name: string]: any}} Conditions */

const STATES = ['live', 'enabled', 'waiting', 'disabled', 'rejected'];
const OUTCOMES = ['blocked', 'not_blocked', 'pending_review'];
const REASONS = ['limit', 'unlike_a_picture', 'bank', 'common'];
const TAGS = ['case', 'origin', 'key'];
/** Without one of these, conditions name too much to change all of it. */
const NARROW = [...TAGS, 'hashes', 'outcome', 'waits_for', 'disputed', 'needs_staff'];
const SETTING = { enable: 'enabled', disable: 'disabled', reject: 'rejected' };
const SETTLING = { widen: 'widened', uphold: 'upheld' };

/**
 * Show a list of items.
 * @param {string} name of the view
 * @param {Conditions} conditions
 */
export async function itemsView(name, conditions) {
  /** @type {Map<string, any>} */
  const ticked = new Map();
  const list = element('div');
  /** @param {Conditions} of */
  const load = async (of) => {
    ticked.clear();
    const show = await pages((page) => call('items', { conditions: of, page }), (rows) => {
      ticked.clear();
      return rowsOf(rows, ticked, narrowed);
    });
    fill(list, show, name === 'common' ? removing(ticked, () => load(of)) : deciding(ticked, of, () => load(of)));
  };
  /** @param {Conditions} further */
  const narrowed = (further) => load({ ...conditions, ...further });
  await load(conditions);
  return [
    heading(text(`view.${name}`)),
    element('p', {}, text(`about.${name}`)),
    name !== 'common' && filters(narrowed),
    list,
  ];
}

/** @param {(further: Conditions) => Promise<void>} narrowed */
function filters(narrowed) {
  /** @param {string} kind @param {string[]} words @returns {[string, string][]} */
  const choices = (kind, words) => [
    ['', text('any')],
    ...words.map((word) => /** @type {[string, string]} */ ([word, text(`${kind}.${word}`)])),
  ];
  const fields = [
    ...TAGS.map((tag) => field(tag, text(`of.${tag}`))),
    field('bank', text('of.bank')),
    field('first_day', text('of.first_day'), { type: 'date' }),
    field('last_day', text('of.last_day'), { type: 'date' }),
    field('hashes', text('of.least_hashes'), { type: 'number' }),
    field('state', text('of.state'), { options: choices('state', STATES) }),
    field('waits_for', text('of.waits_for'), { options: choices('waits_for', REASONS) }),
    field('outcome', text('of.outcome'), { options: choices('outcome', OUTCOMES) }),
  ];
  const made = form(fields, text('filter'), ({ bank, state, hashes, ...given }) => {
    const further = Object.fromEntries(Object.entries(given).filter(([, value]) => value));
    return narrowed({
      ...further,
      ...(bank && { banks: [bank] }),
      ...(state && { states: [state] }),
      ...(hashes && { hashes: Number(hashes) }),
    });
  });
  return element('details', {}, element('summary', {}, text('filters')), made);
}

/**
 * @param {any[]} rows
 * @param {Map<string, any>} ticked
 * @param {(further: Conditions) => Promise<void>} narrowed
 */
function rowsOf(rows, ticked, narrowed) {
  /** @param {any} row */
  const tick = (row) => {
    const box = element('input', {
      type: 'checkbox',
      'aria-label': text('tick', { item: row.item.slice(0, 8) }),
      change: () => (box.checked ? ticked.set(row.item, row) : ticked.delete(row.item)),
    });
    return box;
  };
  const boxes = rows.map(tick);
  const all = button(text('tick.all'), () => {
    for (const box of boxes)
      if (!box.checked) box.click();
  });
  /** @param {any} row @param {string} by */
  const tag = (row, by) =>
    row[by] &&
    element('div', {}, `${text(`of.${by}`)} `, doing(row[by], () => narrowed({ [by]: row[by] }), { class: 'plain' }));
  const cells = rows.map((row, at) => [
    boxes[at],
    doing(code(row.item.slice(0, 8)), () => showItem(row.item), { class: 'plain', 'aria-label': text('open', { item: row.item.slice(0, 8) }) }),
    `${row.bank}, ${text(`kind.${row.kind}`)}, ${text(`assurance.${row.assurance}`)}`,
    [stateOf(row)],
    moment(row.registered_on),
    reportsOf(row).map((words) => element('div', {}, words)),
    written(row.hashes),
    TAGS.map((by) => tag(row, by)),
  ]);
  const heads = ['tick', 'item', 'what', 'state', 'registered', 'reports', 'hashes', 'tags'];
  return [rows.length > 1 && all, table(text('items'), heads.map((head) => text(`head.${head}`)), cells)];
}

/** @param {any} row */
function stateOf(row) {
  const since = row.state_since ? ` ${text('since', { at: moment(row.state_since) })}` : '';
  const why = row.waits_for ? ` (${text(`waits_for.${row.waits_for}`)})` : '';
  return `${text(`state.${row.state}`)}${why}${since}`;
}

/** @param {any} row @returns {string[]} */
function reportsOf(row) {
  const outcomes = Object.entries(row.outcomes).map(([outcome, count]) =>
    text('reported', { outcome: text(`outcome.${outcome}`), count: Number(count) }),
  );
  if (!row.disputes) return outcomes;
  const { needs_staff: reasons, ...counts } = row.disputes;
  return [
    ...outcomes,
    text('disputes', counts),
    ...reasons.map((/** @type {string} */ why) => text(`decide.${why}`)),
  ];
}

/**
 * Show an item with what each organisation reported of it.
 * @param {string} item its id, or a match id
 */
export async function showItem(item) {
  const row = await call('item', { name: item, language: currentLanguage() });
  /** @param {any[]} versions */
  const seen = (versions) => versions.map(({ distance, shows }) => text('seen', { distance, shows })).join(' ; ');
  const reports = row.reports.map((/** @type {any} */ report) => [
    moment(report.day),
    report.organisation,
    text(`outcome.${report.outcome}`),
    seen(report.versions),
    report.settlement ? text(`settlement.${report.settlement}`) : '',
  ]);
  const heads = ['day', 'organisation', 'outcome', 'versions', 'settlement'];
  /** @type {HTMLDialogElement} */
  const dialog = element(
    'dialog',
    { 'aria-labelledby': 'shown', close: () => dialog.remove() },
    element('h2', { id: 'shown' }, text('item', { item: '' }), code(row.item)),
    element('p', {}, `${row.bank}, ${stateOf(row)}`),
    reportsOf(row).map((words) => element('p', {}, words)),
    row.matched_at && element('p', {}, text('matched', { at: moment(row.matched_at), seen: seen(row.matched) })),
    table(text('reports'), heads.map((head) => text(`head.${head}`)), reports),
    element('div', { class: 'actions' }, button(text('close'), () => dialog.close(), { class: 'primary' })),
  );
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * Make the acts on a list.
 * @param {Map<string, any>} ticked
 * @param {Conditions} conditions
 * @param {() => Promise<void>} again
 */
function deciding(ticked, conditions, again) {
  const reason = field('reason', text('reason'), { hint: text('reason.hint') });
  const bank = field('to', text('to'));
  const canAll = NARROW.some((name) => conditions[name]);
  const scope = field('scope', text('scope'), {
    options: [
      ['ticked', text('scope.ticked')],
      ...(canAll ? [/** @type {[string, string]} */ (['all', text('scope.all')])] : []),
    ],
  });
  /** @param {Element} of */
  const given = (of) => /** @type {HTMLInputElement} */ (of.querySelector('input, select')).value;

  /** @param {string} label @param {string} path @param {object} more */
  const decide = async (label, path, more) => {
    const isAll = given(scope) === 'all';
    if (!isAll && !ticked.size) return say(text('tick.first'));
    if (isAll && path !== 'set_states') return say(text('scope.only_states'));
    const counts = isAll ? await call('preview', { conditions }) : countsOf([...ticked.values()]);
    if (!counts.items) return say(text('none_named'));
    if (!(await confirmed(text('sure', { act: label, count: counts.items }), previewOf(counts)))) return;
    const with_reason = { ...more, reason: given(reason) };
    const items = Object.fromEntries([...ticked].map(([item, row]) => [item, row.version]));
    const done = isAll
      ? await call('set_all', { conditions, expected: counts.items, ...with_reason })
      : await call(path, { items, ...with_reason });
    await again();
    say(text('done', { act: label, count: done.items }), done.act && undoing(done.act, again));
  };
  const acts = [
    ...Object.entries(SETTING).map(([act, state]) => [act, 'set_states', { state }]),
    ...Object.entries(SETTLING).map(([act, settlement]) => [act, 'settle', { settlement }]),
    ['confirm', 'confirm', {}],
  ];
  const buttons = acts.map(([act, path, more]) => {
    const label = text(`act.${act}`);
    const hint = { title: text(`act.${act}.hint`) };
    return doing(label, () => decide(label, String(path), /** @type {object} */ (more)), hint);
  });
  const move = doing(text('act.move'), () => decide(text('act.move'), 'move', { bank: given(bank).trim() }));
  return element(
    'section',
    { 'aria-label': text('acts') },
    element('h2', {}, text('acts')),
    element('div', { class: 'fields' }, scope, reason, bank),
    element('div', { class: 'actions' }, buttons, move),
  );
}

/**
 * Make the act on pictures in common use.
 * @param {Map<string, any>} ticked
 * @param {() => Promise<void>} again
 */
function removing(ticked, again) {
  return doing(text('act.remove'), async () => {
    if (!ticked.size) return say(text('tick.first'));
    const items = Object.fromEntries([...ticked.keys()].map((item) => [item, '']));
    if (!(await confirmed(text('sure', { act: text('act.remove'), count: ticked.size }), text('remove.final')))) return;
    const done = await call('remove_common', { items });
    await again();
    say(text('done', { act: text('act.remove'), count: done.items }));
  });
}

/**
 * Make what undoes an act on many.
 * @param {number} act its number
 * @param {() => Promise<unknown>} again
 */
export function undoing(act, again) {
  return doing(text('undo', { act: String(act) }), async () => {
    const done = await call('undo', { act });
    await again();
    say(text('undone', { count: done.items, act: String(act) }));
    part('main').querySelector('h1')?.focus();
  });
}

/** @param {any[]} rows */
function countsOf(rows) {
  /** @param {(row: any) => string} by */
  const counted = (by) => {
    /** @type {{[name: string]: number}} */
    const counts = {};
    for (const row of rows) counts[by(row)] = (counts[by(row)] ?? 0) + 1;
    return counts;
  };
  return {
    items: rows.length,
    cases: Object.keys(counted((row) => row.case ?? row.item)).length,
    hashes: rows.reduce((sum, row) => sum + row.hashes, 0),
    banks: counted((row) => row.bank),
    days: counted((row) => row.registered_on),
    states: counted((row) => row.state),
  };
}

/** @param {any} counts */
function previewOf(counts) {
  /** @param {string} by @param {(name: string) => string} words */
  const rows = (by, words) =>
    Object.entries(counts[by]).map(([name, count]) => [words(name), written(Number(count))]);
  return [
    element('p', {}, text('preview', counts)),
    table(text('items'), [text('head.what'), text('head.count')], [
      ...rows('banks', (name) => name),
      ...rows('states', (name) => text(`state.${name}`)),
      ...rows('days', moment),
    ]),
  ];
}
