// Answers questions about the page's messages: a JSON line in, a JSON line out. Bytes are {hex: '…'}.
import { createInterface } from 'node:readline';

import * as cases from '../../../disrupt/web/page/messages/cases.js';
import * as messages from '../../../disrupt/web/page/messages/messages.js';
import { decode, encode } from '../../../disrupt/web/page/messages/protobuf.js';

const revive = (_key, value) =>
  value && typeof value.hex === 'string' ? Uint8Array.from(Buffer.from(value.hex, 'hex')) : value;
const replace = (_key, value) =>
  value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value;

const tables = Object.entries(messages).filter(([, value]) => typeof value === 'object');
const nameOf = (type) => tables.find(([, table]) => table === type)?.[0] ?? type;

const answers = {
  tables: () =>
    Object.fromEntries(
      tables.map(([name, table]) => [
        name,
        Array.isArray(table)
          ? table
          : Object.fromEntries(
              Object.entries(table).map(([field, [number, type, repeated]]) => [
                field,
                [number, nameOf(type), Boolean(repeated)],
              ]),
            ),
      ]),
    ),
  encode: ([table, message]) => encode(messages[table], message),
  decode: ([table, bytes]) => {
    try {
      return decode(messages[table], bytes);
    } catch (error) {
      return error.name;
    }
  },
  mediaItem: (media) => encode(messages.MediaItem, messages.mediaItem(media)),
  identity: (media) => cases.identity(media),
  newCaseNumber: (requestId) => cases.newCaseNumber(requestId),
  parseCaseNumber: (text) => cases.parseCaseNumber(text) ?? null,
  parsePin: (text) => cases.parsePin(text) ?? null,
  parseReceiptCode: (text) => cases.parseReceiptCode(text) ?? null,
  groupedReceiptCode: (code) => cases.groupedReceiptCode(code),
  newPins: (count) => Array.from({ length: count }, cases.newPin),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { about, asked } = JSON.parse(line, revive);
  console.log(JSON.stringify(await answers[about](asked), replace));
}
