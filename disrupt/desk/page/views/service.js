/**
 * What operators have set, how late erasure is, and the passkeys of the person's key.
 *
 * @module
 */

import { element, fill } from '../../../web/page/flow/elements.js';
import { ask, call } from '../calling.js';
import { code, confirmed, doing, heading, say, table } from '../parts.js';
import { duration, moment, text, written } from '../texts.js';

/** Show banks, organisations, keys, quotas, mirrors and erasure. */
export async function serviceView() {
  const of = await call('service');
  if (!of.banks.length) return [heading(text('view.service')), element('p', {}, text('service.own', { banks: of.own_key.banks.join(', ') }))];
  /** @param {string} name @param {string[]} columns @param {any[][]} rows */
  const shown = (name, columns, rows) =>
    table(text(`service.${name}`), columns.map((head) => text(`head.${head}`)), rows);
  const isLate = of.oldest_withdrawn_s > of.erase_within_s;
  const within = { age: duration(of.oldest_withdrawn_s), within: duration(of.erase_within_s) };
  return [
    heading(text('view.service')),
    element('p', { class: isLate ? 'warning' : 'notice' }, text(isLate ? 'erasure.late' : 'erasure.in_time', within)),
    shown('mirrors', ['organisation', 'name', 'behind', 'reported'], of.mirrors.map((/** @type {any} */ row) => [
      row.organisation,
      row.name,
      text(row.has_ended ? 'mirror.ended' : 'mirror.behind', { age: duration(row.behind_s) }),
      row.reported_at ? moment(row.reported_at) : text('never'),
    ])),
    shown('banks', ['bank', 'distance', 'new', 'seen_by'], of.banks.map((/** @type {any} */ row) => [
      row.bank,
      text('bits', { count: row.max_distance_bits }),
      text(row.goes_live ? 'bank.live' : 'bank.waits'),
      row.organisations.join(', ') || text('all_organisations'),
    ])),
    shown('keys', ['key', 'name', 'organisation', 'rights', 'banks', 'used', 'valid'], of.keys.map((/** @type {any} */ row) => [
      code(row.key),
      row.name,
      row.organisation,
      row.rights.join(', '),
      row.banks.join(', '),
      row.last_used_on ? moment(row.last_used_on) : text('never'),
      validity(row),
    ])),
    shown('quotas', ['organisation', 'per_minute', 'per_day', 'hashes_per_minute', 'hashes_per_day'], of.quotas.map((/** @type {any} */ row) => [
      row.organisation,
      ...['per_minute', 'per_day', 'hashes_per_minute', 'hashes_per_day'].map((name) =>
        row[name] === null ? text('no_limit') : written(row[name]),
      ),
    ])),
  ];
}

/** @param {any} row */
function validity(row) {
  if (row.revoked_on) return text('revoked', { day: moment(row.revoked_on) });
  return row.expires_on ? text('expires', { day: moment(row.expires_on) }) : text('valid');
}

/** Show the passkeys of the person's key. */
export async function passkeysView() {
  const list = element('div');
  /** @param {{passkeys: any[]}} answer */
  const show = ({ passkeys }) => {
    const rows = passkeys.map(({ id, name, enrolled_on }) => [
      code(id.slice(0, 8)),
      name,
      moment(enrolled_on),
      doing(text('remove'), async () => {
        if (!(await confirmed(text('remove.sure'), element('p', {}, text('remove.what'))))) return;
        show(await ask('/passkeys/remove', { id }));
        say(text('removed'));
      }),
    ]);
    fill(list, table(text('view.passkeys'), ['passkey', 'name', 'enrolled', 'remove'].map((head) => text(`head.${head}`)), rows));
  };
  show(await ask('/passkeys'));
  return [heading(text('view.passkeys')), element('p', {}, text('about.passkeys')), list];
}
