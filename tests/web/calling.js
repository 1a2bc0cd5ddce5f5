// Makes the page's calls to the gateway at PAGE, in the order of a script; prints what came back.
import * as calls from '../../disrupt/web/page/messages/calls.js';

const online = { onLine: true };
Object.defineProperty(globalThis, 'navigator', { value: online });
const fetched = globalThis.fetch;
let origin = process.env.PAGE;
globalThis.fetch = (path, options) => fetched(`${origin}${path}`, options);

const access = { caseNumber: '2222-2222-223', pin: '123456789012' };
const failed = ({ reason, retryAfterS, offline }) => ({ reason, retryAfterS, offline });
const answers = {};
answers.registered = await calls.registerHashes({
  requestId: new Uint8Array(16),
  access: { caseNumber: '', pin: access.pin },
  ageBand: 'MINOR',
  newCaseNumber: process.env.NUMBER,
  items: [
    {
      kind: 'picture',
      hashes: new Uint8Array(64),
      qualities: Uint8Array.of(100, 99),
      profiles: [1, 1],
      plans: new Uint16Array([0, 2]),
      ordinals: new Uint16Array([0, 300]),
    },
  ],
});
answers.case = await calls.getCase({ access });
answers.refused = await calls.getCase({ access }).catch(failed);
answers.waits = await calls.withdrawCase({ access }).catch(failed);
answers.withdrawn = await calls.withdrawItems({ access, itemNumbers: [3] });
answers.stopped = await calls.getCase({ access }, { signal: AbortSignal.abort() }).catch(failed);
origin = process.env.NOBODY;
online.onLine = false;
answers.nobody = await calls.getCase({ access }).catch(failed);
console.log(JSON.stringify(answers));
